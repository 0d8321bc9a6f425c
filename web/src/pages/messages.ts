// The last messages as they came, newest first. Paused, the list stands still
// while everything that comes is kept.

import { h, setText } from "../dom";
import { perFrame } from "../frame";
import { copyButton, timeElement } from "../parts";
import type { Reading } from "../reading";
import type { Scope } from "../signal";

const KEPT = 5000;
const FIRST = 12;
const STEP = 50;

export class Messages {
  readonly element: HTMLElement;
  #list = h("ol", { class: "messages", reversed: true });
  #pause = h("button", { type: "button", "aria-pressed": "false" }, "Pause");
  #more = h("button", { type: "button", class: "quiet-button" }, "Show more");
  #none = h("p", { class: "muted" }, "No message yet.");
  /** By arrival, oldest first. */
  #readings: Reading[] = [];
  #pausedAt: number | undefined;
  #shown = FIRST;
  #items = new Map<number, HTMLElement>();
  #frame = perFrame(() => this.#draw());

  constructor(scope: Scope) {
    const head = h("div", { class: "section-head" }, h("h2", {}, "Last messages"), this.#pause);
    this.element = h("section", { class: "messages-section", "aria-label": "Last messages" }, head, this.#none, this.#list, this.#more);
    scope.add(this.#frame.cancel);
    scope.on(this.#pause, "click", () => this.#toggle());
    scope.on(this.#more, "click", () => {
      this.#shown += STEP;
      this.#frame.ask();
    });
    this.#draw();
  }

  /** Takes readings in, in any order. */
  add(readings: readonly Reading[]): void {
    const newest = this.#readings.at(-1)?.seq ?? -1;
    if (readings.length === 1 && readings[0]!.seq > newest) this.#readings.push(readings[0]!);
    else {
      const bySeq = new Map([...this.#readings, ...readings].map((reading) => [reading.seq, reading]));
      this.#readings = [...bySeq.values()].sort((a, b) => a.seq - b.seq);
    }
    if (this.#readings.length > KEPT) this.#readings.splice(0, this.#readings.length - KEPT);
    this.#frame.ask();
  }

  #toggle(): void {
    this.#pausedAt = this.#pausedAt === undefined ? (this.#readings.at(-1)?.seq ?? 0) : undefined;
    this.#pause.setAttribute("aria-pressed", String(this.#pausedAt !== undefined));
    this.#draw();
  }

  #draw(): void {
    const until = this.#pausedAt ?? Infinity;
    const visible = this.#readings.filter((reading) => reading.seq <= until);
    const waiting = this.#readings.length - visible.length;
    setText(this.#pause, this.#pausedAt === undefined ? "Pause" : waiting ? `Resume (${waiting} new)` : "Resume");
    this.#none.hidden = this.#readings.length > 0;
    this.#more.hidden = visible.length <= this.#shown;
    const wanted = visible.slice(-this.#shown).reverse();
    const seqs = new Set(wanted.map((reading) => reading.seq));
    for (const [seq, item] of this.#items) {
      if (seqs.has(seq)) continue;
      item.remove();
      this.#items.delete(seq);
    }
    let next = this.#list.firstElementChild;
    for (const reading of wanted) {
      const item = this.#items.get(reading.seq);
      if (item) next = item.nextElementSibling;
      else this.#list.insertBefore(this.#item(reading), next);
    }
  }

  #item(reading: Reading): HTMLElement {
    const item = h("li", {}, timeElement(reading.time), h("code", {}, reading.payload), copyButton(() => reading.payload, "this message"));
    this.#items.set(reading.seq, item);
    return item;
  }
}
