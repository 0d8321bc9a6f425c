// One message in a list of traces: a line that opens.

import { fill, h, setAttribute, setText } from "../dom";
import { glyph, setTime } from "../parts";
import type { DeviceState } from "../store";
import { hasNoFields, type MessageTrace, type Outcome, outcomeOf, outcomeWords, reasonOf, type RuleTrace } from "../trace";
import { excerptLine, oneLine } from "./excerpt";
import { traceDetail } from "./tracedetail";

const SHAPES: Readonly<Record<Outcome, DeviceState | "alarm">> = { fired: "online", waiting: "quiet", silent: "never", failed: "alarm" };

export interface TraceRowConfig {
  /** Nothing was performed, so there are no actions to show. */
  readonly trial: boolean;
  /** Offers the message for trying. */
  readonly use?: (message: MessageTrace) => void;
}

export class TraceRow {
  readonly element: HTMLLIElement;
  #config: TraceRowConfig;
  #details: HTMLDetailsElement;
  #time = h("time");
  #outcome = h("span", { class: "trace-outcome" });
  #why = h("code", { class: "trace-why" });
  #topic = h("code", { class: "trace-topic" });
  #client = h("span", { class: "trace-client" });
  #body = h("div", { class: "trace-body" });
  #message: MessageTrace | undefined;
  #rule: RuleTrace | undefined;
  #shown = "";

  constructor(config: TraceRowConfig) {
    this.#config = config;
    const summary = h("summary", {}, this.#time, this.#outcome, this.#why, this.#topic, this.#client);
    this.#details = h("details", {}, summary, this.#body);
    this.#details.addEventListener("toggle", () => this.#open());
    this.element = h("li", { class: "trace-row" }, this.#details);
  }

  get isOpen(): boolean {
    return this.#details.open;
  }

  /** Shows a message; without a rule's trace, what would be made of it is not known. */
  show(message: MessageTrace, rule: RuleTrace | undefined): void {
    const key = JSON.stringify([message, rule && { ...rule, took: 0 }]);
    if (key === this.#shown) return;
    this.#shown = key;
    this.#message = message;
    this.#rule = rule;
    setTime(this.#time, Date.parse(message.at));
    setText(this.#topic, message.topic);
    setAttribute(this.#topic, "title", message.topic);
    setText(this.#client, message.clientId ?? "");
    setAttribute(this.#client, "title", message.clientId ?? "");
    const outcome = rule && outcomeOf(rule);
    fill(this.#outcome, ...(rule && outcome ? [glyph(SHAPES[outcome]), h("span", { class: outcome === "failed" ? "alarm-text" : "" }, outcomeWords(rule, this.#config.trial))] : []));
    this.#details.classList.toggle("silent", outcome === "silent");
    const reason = rule && (hasNoFields(message.payload, rule) ? "the payload is not JSON" : reasonOf(rule));
    setText(this.#why, oneLine(reason ?? "") || excerptLine(rule?.output ?? message.payload));
    this.#open();
  }

  #open(): void {
    if (!this.#details.open || !this.#message) return fill(this.#body);
    const { use, trial } = this.#config;
    const message = this.#message;
    const detail = this.#rule ? traceDetail(message, this.#rule, trial) : h("p", { class: "muted" }, "The statement does not parse, so nothing can be said of it.");
    fill(this.#body, use && h("p", {}, h("button", { type: "button", onclick: () => use(message) }, "Try with changes")), detail);
  }
}

/** Lets the arrow keys move between the lines of a list. */
export function arrowKeys(list: HTMLElement): void {
  list.addEventListener("keydown", (event) => {
    const step = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
    const lines = [...list.querySelectorAll("summary")];
    const at = lines.indexOf(event.target as HTMLElement);
    if (!step || at < 0) return;
    event.preventDefault();
    lines[at + step]?.focus();
  });
}

/** Makes a list hold the elements in their order, touching only what is not in its place. */
export function arrange(list: Element, wanted: readonly Element[]): void {
  const keep = new Set(wanted);
  for (const element of [...list.children]) if (!keep.has(element)) element.remove();
  let next = list.firstElementChild;
  for (const element of wanted) {
    if (element === next) next = next.nextElementSibling;
    else list.insertBefore(element, next);
  }
}
