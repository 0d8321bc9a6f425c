// A message of one's own, and what the statement makes of it.

import { fill, h, setText } from "../dom";
import { asApiError } from "../feed";
import { Latest } from "../latest";
import { failure, glyph } from "../parts";
import { type Trial, tryOn } from "../ruleapi";
import type { Scope } from "../signal";
import { hasNoFields, type MessageTrace, outcomeOf, outcomeWords, reasonOf, type RuleTrace } from "../trace";
import type { EditorState } from "../urlstate";
import { CodeField } from "./codefield";
import { oneLine } from "./excerpt";
import { ruleDetail } from "./tracedetail";

const EXAMPLE = '{"device_id": "MyDevice001", "temperature": 31.5, "humidity": 43.1}';

export class OwnMessage {
  readonly element: HTMLElement;
  #topic = h("input", { id: "own-topic", autocomplete: "off", spellcheck: "false", maxlength: "256" });
  #client = h("input", { id: "own-client", autocomplete: "off", spellcheck: "false", placeholder: "none", maxlength: "128" });
  #encoding = h("select", { "aria-label": "How the payload is written" }, h("option", { value: "" }, "as text"), h("option", { value: "base64" }, "in base64"));
  #payload: CodeField;
  #result = h("div", { class: "trial-result" });
  #latest = new Latest();

  /** onInput is told when the message has been changed. */
  constructor(scope: Scope, onInput: () => void) {
    this.#payload = new CodeField({ id: "own-payload", label: "Payload", rows: 4, onInput }, this.#encoding);
    scope.add(() => this.#latest.stop());
    for (const input of [this.#topic, this.#client, this.#encoding]) scope.on(input, "input", onInput);
    const field = (input: HTMLInputElement, label: string) => h("div", { class: "field" }, h("label", { for: input.id }, label), input);
    this.element = h("div", { class: "own" }, h("div", { class: "field-row" }, field(this.#topic, "Topic"), field(this.#client, "Client id")), this.#payload.element, this.#result);
  }

  /** The message as the URL keeps it. */
  get state(): EditorState {
    return { topic: this.#topic.value, client: this.#client.value, payload: this.#payload.value, encoding: this.#encoding.value };
  }

  set state({ topic = "", client = "", payload = EXAMPLE, encoding = "" }: EditorState) {
    this.#topic.value = topic;
    this.#client.value = client;
    this.#payload.value = payload;
    this.#encoding.value = encoding === "base64" ? encoding : "";
  }

  /** Proposes a topic while none is given. */
  propose(filter: string | undefined): void {
    if (!this.#topic.value && filter && !/[+#]/.test(filter)) this.#topic.value = filter;
    this.#topic.placeholder = filter ?? "sensor/data";
  }

  /** Takes a message over, to be changed. */
  use({ topic, clientId, payload: { text, binary } }: MessageTrace): void {
    this.state = { topic, client: clientId ?? "", payload: text ?? binary ?? "", encoding: text === undefined && binary !== undefined ? "base64" : "" };
    this.#payload.area.focus();
  }

  /** Evaluates the statement; undefined is one that does not parse. */
  try(trial: Trial | undefined): void {
    if (!trial) {
      this.#latest.stop();
      return fill(this.#result, h("p", { class: "muted" }, "Mend the statement to see what it makes of this message."));
    }
    const { topic = "", client = "", payload = "" } = this.state;
    const bytes = this.#encoding.value === "base64" ? bytesOf(payload) : undefined;
    this.#payload.fault(this.#encoding.value && !bytes ? { message: "This is not base64." } : undefined);
    if (!topic) return fill(this.#result, h("p", { class: "muted" }, "Give the topic that the message is sent to."));
    if (this.#encoding.value && !bytes) return fill(this.#result);
    const message = { topic, clientId: client, ...(bytes ? { binary: bytes } : { payload }) };
    void this.#latest.ask(
      (signal) => tryOn(trial, message, signal),
      (rule) => this.#show(rule, !bytes && hasNoFields({ text: payload }, rule)),
      (cause) => fill(this.#result, failure("The message could not be tried", asApiError(cause), () => this.try(trial))),
    );
  }

  #show(rule: RuleTrace, noJSON: boolean): void {
    const outcome = outcomeOf(rule);
    const shape = { fired: "online", waiting: "quiet", silent: "never", failed: "alarm" } as const;
    const words = h("span", { class: "long" });
    const reason = noJSON ? "the payload is not JSON, so every field of it is Undefined" : reasonOf(rule);
    setText(words, `It ${outcomeWords(rule, true)}${reason ? `: ${oneLine(reason)}` : "."}`);
    fill(this.#result, h("p", { class: "state verdict" }, glyph(shape[outcome]), words), h("div", { class: "trace-detail" }, ...ruleDetail(rule, true)));
  }
}

/** Base64 as the server takes it; undefined when it is none. */
function bytesOf(text: string): string | undefined {
  try {
    return btoa(atob(text));
  } catch {
    return undefined;
  }
}
