// The statement on stored history.

import { now } from "../clock";
import { fill, h, setText } from "../dom";
import { asApiError } from "../feed";
import { Latest } from "../latest";
import { failure, glyph } from "../parts";
import { type Replay as Found, replay, type Trial } from "../ruleapi";
import type { Scope } from "../signal";
import { DAY, HOUR } from "../time";
import type { MessageTrace } from "../trace";
import { arrowKeys, TraceRow } from "./tracerow";

const RANGES: ReadonlyArray<readonly [string, number]> = [
  ["1 h", HOUR],
  ["24 h", DAY],
];

export class Replay {
  readonly element: HTMLElement;
  #range = HOUR;
  #device = h("input", { id: "replay-device", autocomplete: "off", spellcheck: "false", placeholder: "all", maxlength: "128" });
  #topic = h("input", { id: "replay-topic", autocomplete: "off", spellcheck: "false", maxlength: "256" });
  #run = h("button", { type: "button" }, "Run");
  #result = h("div", { class: "trial-result" });
  #latest = new Latest();
  #trial: Trial | undefined;
  #filter: string | undefined;
  #use: (message: MessageTrace) => void;

  constructor(scope: Scope, use: (message: MessageTrace) => void) {
    this.#use = use;
    scope.add(() => this.#latest.stop());
    scope.on(this.#run, "click", () => this.#start());
    const field = (input: HTMLInputElement, label: string) => h("div", { class: "field" }, h("label", { for: input.id }, label), input);
    this.element = h(
      "div",
      {},
      h("p", { class: "muted" }, "What it would have made of the readings that are stored. They keep no topic, so they count as sent to the one given."),
      h("div", { class: "field-row" }, field(this.#topic, "Topic"), field(this.#device, "Device")),
      h("div", { class: "replay-run" }, this.#ranges(), this.#run),
      this.#result,
    );
  }

  /** Takes the statement; undefined is one that does not parse. */
  take(trial: Trial | undefined, filter: string | undefined): void {
    const before = this.#trial;
    this.#trial = trial;
    this.#filter = filter;
    this.#run.disabled = !trial;
    this.#topic.placeholder = filter ?? "";
    if (before && trial && before.sql === trial.sql && before.sqlVersion === trial.sqlVersion) return;
    this.#latest.stop();
    this.#run.textContent = "Run";
    if (!this.#result.hasChildNodes()) return;
    fill(this.#result, h("p", { class: "muted" }, "The statement has changed: run it again."));
  }

  #ranges(): HTMLElement {
    const buttons = RANGES.map(([label, span]) => {
      const button = h("button", { type: "button", "aria-pressed": String(span === this.#range) }, label);
      button.addEventListener("click", () => {
        this.#range = span;
        for (const other of buttons) other.setAttribute("aria-pressed", String(other === button));
      });
      return button;
    });
    return h("div", { class: "segments", role: "group", "aria-label": "Time range" }, ...buttons);
  }

  #start(): void {
    const trial = this.#trial;
    if (!trial) return;
    if (!this.#topic.value && (!this.#filter || /[+#]/.test(this.#filter))) {
      fill(this.#result, h("p", { class: "alarm-text state", role: "alert" }, glyph("alarm"), h("span", {}, "Give the topic that they count as sent to: FROM does not name one.")));
      return this.#topic.focus();
    }
    const to = now();
    setText(this.#run, "Running…");
    void this.#latest.ask(
      (signal) => replay({ ...trial, device: this.#device.value, topic: this.#topic.value, from: Math.floor(to - this.#range), to: Math.ceil(to) }, signal),
      (found) => (setText(this.#run, "Run"), this.#show(found)),
      (cause) => {
        setText(this.#run, "Run");
        fill(this.#result, failure("The history could not be replayed", asApiError(cause)));
      },
    );
  }

  #show({ summary, first }: Found): void {
    const { evaluated, fired, failed, more } = summary;
    const words = `Of ${evaluated.toLocaleString()} readings it would have fired for ${fired.toLocaleString()}${failed ? ` and failed for ${failed.toLocaleString()}` : ""}.`;
    const list = h("ol", { class: "trace samples" });
    arrowKeys(list);
    for (const trace of first) {
      const row = new TraceRow({ trial: true, use: this.#use });
      row.show(trace, trace.rules[0]);
      list.append(row.element);
    }
    fill(
      this.#result,
      h("p", { class: "verdict" }, evaluated ? words : "No reading is stored of this time."),
      more && h("p", { class: "muted" }, "There are more readings in this time than are evaluated at once."),
      first.length > 0 && h("p", { class: "muted" }, first.length < fired + failed ? `The first ${first.length}:` : "They are:"),
      list,
    );
  }
}
