// Pieces that several pages use.

import type { ApiError } from "./api";
import { now } from "./clock";
import { type Child, h, setAttribute, setText } from "./dom";
import type { DeviceState } from "./store";
import { age, clock, iso } from "./time";

/** The shape of a state; the word stands beside it or is read aloud. */
export function glyph(state: DeviceState | "alarm"): HTMLElement {
  return h("span", { class: `glyph ${state}`, "aria-hidden": "true" });
}

/** A <time> with its full ISO time as title. */
export function timeElement(at: number): HTMLTimeElement {
  const element = h("time");
  setTime(element, at);
  return element;
}

export function setTime(element: Element, at: number): void {
  setText(element, clock(at, now()));
  setAttribute(element, "datetime", iso(at));
  setAttribute(element, "title", iso(at));
}

/** Shows how long ago `at` was. */
export function setAge(element: Element, at: number, prefix = ""): void {
  setText(element, prefix + age(at, now()));
  setAttribute(element, "title", iso(at));
}

/** A button that copies text and says so. */
export function copyButton(text: () => string, what: string): HTMLButtonElement {
  const button = h("button", { type: "button", class: "quiet-button", "aria-label": `Copy ${what}` }, "Copy");
  button.addEventListener("click", async () => {
    const copied = await copy(text());
    button.textContent = copied ? "Copied" : "Press Ctrl+C";
    setTimeout(() => (button.textContent = "Copy"), 1500);
  });
  return button;
}

/** A command line to copy. */
export function command(text: string, what: string): HTMLElement {
  // A line breaks between words only: "--certs ." broken at its hyphens reads as another command.
  const words = text.split(/(\s+)/).map((part) => (/^\s*$/.test(part) ? part : h("span", {}, part)));
  return h("div", { class: "command" }, h("pre", { tabindex: "0" }, h("code", {}, ...words)), copyButton(() => text, what));
}

/** A page's first heading; it takes the focus when the page is opened. */
export function heading(text: string): HTMLHeadingElement {
  return h("h1", { tabindex: "-1" }, text);
}

/** A notice in the place of content: what is so, and what to do about it. */
export function notice(title: string, ...children: Child[]): HTMLElement {
  return h("div", { class: "notice" }, h("h2", {}, title), ...children);
}

/** Says that something is the operator's, and how to become one. */
export function login(title: string, why: string, ...more: Child[]): HTMLElement {
  const text = h("p", {}, `${why} Open the link that `, h("code", {}, "fieldline up"), " printed, or get a new one with:");
  return notice(title, text, command("fieldline login", "the command"), ...more);
}

/** What failed, and the mend. */
export function failure(what: string, error: ApiError, retry?: () => void): HTMLElement {
  if (error.status === 401) return login("Log in to look", "This server shows what it has to its operator only.");
  const box = notice(what, h("p", {}, `${error.title}${error.detail ? `: ${error.detail}` : ""}.`.replace("..", ".")), h("p", {}, mend(error)));
  box.setAttribute("role", "alert");
  if (retry) box.append(h("p", {}, h("button", { type: "button", onclick: retry }, "Try again")));
  return box;
}

/** Quotes a word for a POSIX shell where it needs it. */
export function shell(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

function mend(error: ApiError): string {
  if (error.status === 0) return "Is “fieldline up” still running? This page goes on by itself once it answers.";
  if (error.status === 403) return "Open the link that “fieldline up” printed, or run “fieldline login” for a new one.";
  if (error.status === 409) return "Choose another name.";
  if (error.status === 429) return "The server is busy: wait a moment and try again.";
  if (error.status >= 500) return "The server's log says why.";
  if (error.status < 0) return "The page may be older than the server: load it again.";
  return "Check what was asked for, then try again.";
}

/** The clipboard API needs https or localhost; elsewhere a selection is copied. */
async function copy(text: string): Promise<boolean> {
  if (navigator.clipboard) {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      // Not permitted: try the older way.
    }
  }
  const area = h("textarea", { class: "sr", readonly: true });
  area.value = text;
  document.body.append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  return done;
}
