import { type Child, h } from "../dom";
import { copyButton } from "../parts";
import type { Excerpt } from "../trace";

/** A payload or output as it is, with a button that copies it. */
export function excerptElement(excerpt: Excerpt, what: string): HTMLElement {
  const { text, binary, truncated } = excerpt;
  const notes = [text === undefined && "not text: in base64", truncated && `${truncated.toLocaleString()} more bytes are not shown`].filter(Boolean);
  return data(text ?? binary ?? "", what, notes.length > 0 && h("p", { class: "muted" }, notes.join("; ")));
}

/** Text to read and copy. */
export function data(text: string, what: string, ...more: Child[]): HTMLElement {
  const code = text === "" ? h("span", { class: "muted" }, "empty") : h("code", {}, text);
  return h("div", { class: "data" }, h("pre", { tabindex: "0" }, code), copyButton(() => text, what), ...more);
}

/** The beginning of it, for a line. */
export function excerptLine({ text, binary }: Excerpt): string {
  const whole = text ?? (binary === undefined ? "" : `base64 ${binary}`);
  return oneLine(whole);
}

/** As much of a text as a line may hold. */
export function oneLine(text: string): string {
  return text.length > 300 ? `${text.slice(0, 300)}…` : text;
}
