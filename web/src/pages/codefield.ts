// A field for code: it grows with its text, and a fault is marked at its place.

import { type Child, fill, h, setAttribute } from "../dom";
import { glyph } from "../parts";
import { placeOf, tokenEnd } from "../sqltext";

/** What is wrong with the text of a field; at is a UTF-16 index. */
export interface Fault {
  /** Its first line in words; others show a place in code. */
  readonly message: string;
  readonly at?: number;
}

export interface CodeFieldConfig {
  readonly id: string;
  readonly label: string;
  readonly rows: number;
  readonly placeholder?: string;
  readonly onInput: () => void;
}

export class CodeField {
  readonly element: HTMLElement;
  readonly area: HTMLTextAreaElement;
  #mirror = h("pre", { class: "code-mirror", "aria-hidden": "true" });
  #problem: HTMLElement;
  #told = "";

  /** tools stand beside the label. */
  constructor(config: CodeFieldConfig, ...tools: Child[]) {
    const { id, label, rows, placeholder, onInput } = config;
    this.area = h("textarea", { id, rows, placeholder, spellcheck: "false", autocapitalize: "off", autocomplete: "off", "aria-describedby": `${id}-problem` });
    this.#problem = h("div", { id: `${id}-problem`, class: "code-problem", role: "status" });
    this.element = h(
      "div",
      { class: "code-field" },
      h("div", { class: "code-head" }, h("label", { for: id }, label), ...tools),
      h("div", { class: "code-box" }, this.#mirror, this.area),
      this.#problem,
    );
    this.area.addEventListener("input", () => {
      this.#draw(); // the mark would stand at another word
      onInput();
    });
  }

  get value(): string {
    return this.area.value;
  }

  set value(text: string) {
    this.area.value = text;
    this.fault(undefined);
  }

  /** Marks what is wrong, or takes the mark away. */
  fault(fault: Fault | undefined): void {
    this.#draw(fault?.at);
    setAttribute(this.area, "aria-invalid", String(fault !== undefined));
    const key = fault ? `${fault.at} ${fault.message} ${this.value}` : "";
    if (key === this.#told) return; // what is unchanged is not read aloud again
    this.#told = key;
    fill(this.#problem, ...(fault ? this.#words(fault) : []));
  }

  #words({ message, at }: Fault): Child[] {
    const [line = "", ...others] = message.split("\n");
    const place = at === undefined ? undefined : placeOf(this.value, at);
    const where = place ? (this.value.includes("\n") ? `Line ${place.line}, column ${place.column}: ` : `Column ${place.column}: `) : "";
    const words = h("p", { class: "alarm-text state" }, glyph("alarm"), h("span", { class: "long" }, where + line));
    if (!place) return [words, others.length > 0 && h("pre", { class: "caret" }, others.join("\n"))];
    // The caret stands after the same text, unseen, so that it is right whatever the characters' widths.
    const caret = h("pre", { class: "caret", "aria-hidden": "true" }, `${place.text}\n`, h("span", { class: "unseen" }, place.before), h("span", { class: "alarm-text" }, "^"));
    return [words, caret];
  }

  /** The mirror lies under the text, with the same text unseen: it gives the height and holds the mark. */
  #draw(at?: number): void {
    const text = this.value;
    if (at === undefined) return fill(this.#mirror, `${text}\n`);
    const end = Math.max(at, tokenEnd(text, at));
    fill(this.#mirror, text.slice(0, at), h("mark", {}, text.slice(at, end) || "\u00a0"), `${text.slice(end)}\n`);
  }
}
