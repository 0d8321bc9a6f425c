// The live trace of a rule: newest first, with what it leaves out.

import { now } from "../clock";
import type { Context } from "../context";
import { fill, h, setText } from "../dom";
import { perFrame } from "../frame";
import { command, failure, glyph, shell } from "../parts";
import { parameter, setParameter } from "../router";
import { trace } from "../ruleapi";
import { filterOf } from "../sqltext";
import { clock } from "../time";
import { outcomeOf } from "../trace";
import { type Entry, type Gap, type Row, TraceLog } from "../tracelog";
import { TraceStream } from "../tracestream";
import { arrange, arrowKeys, TraceRow } from "./tracerow";

const FIRST = 50;

const FILTERS: ReadonlyArray<readonly [string, string, (row: Row) => boolean]> = [
  ["", "All", () => true],
  ["fired", "Fired", ({ rule }) => rule.fired],
  ["silent", "Not fired", ({ rule }) => outcomeOf(rule) === "silent"],
  ["failed", "Failed", ({ rule }) => outcomeOf(rule) === "failed" || rule.actions?.some(({ state }) => state === "retrying") === true],
];

export class LiveTrace {
  readonly element: HTMLElement;
  #log: TraceLog;
  #stream: TraceStream;
  #state = h("p", { class: "state" });
  #pause = h("button", { type: "button", "aria-pressed": "false" }, "Pause");
  #note = h("p", { class: "muted note", role: "status" });
  #trouble = h("div");
  #empty = h("div", { class: "trace-empty" });
  #list = h("ol", { class: "trace", reversed: true });
  #more = h("button", { type: "button", class: "quiet-button" }, "Show more");
  #items = new Map<number, { element: HTMLElement; row?: TraceRow; version: number }>();
  #shown = FIRST;
  #sql = "";
  #frame = perFrame(() => this.#draw());

  constructor(context: Context, rule: string) {
    const { feed, scope } = context;
    this.#log = new TraceLog(rule);
    this.#stream = new TraceStream({
      open: (signal) => trace(rule, signal),
      now,
      random: Math.random,
      onLine: (line) => (this.#log.take(line), this.#frame.ask()),
      onLost: (from, to) => (this.#log.lost(from, to), this.#frame.ask()),
    });
    const head = h("div", { class: "section-head trace-head" }, h("h2", {}, "Live trace"), this.#state, this.#filters(), this.#pause);
    this.element = h("section", { class: "trace-section", "aria-label": "Live trace" }, head, this.#note, this.#trouble, this.#empty, this.#list, this.#more);
    arrowKeys(this.#list);

    scope.add(this.#frame.cancel);
    scope.add(() => this.#stream.stop());
    scope.on(this.#pause, "click", () => this.#toggle());
    scope.on(this.#more, "click", () => ((this.#shown += FIRST), this.#draw()));
    scope.watch(this.#stream.state, () => this.#tellState());
    scope.add(feed.live.state.listen(({ kind }) => (kind === "lost" ? this.#stream.fail() : this.#stream.retry())));
    this.#stream.start();
    this.#draw();
  }

  /** Takes the statement, for the example in the empty list. */
  describe(sql: string): void {
    this.#sql = sql;
    if (!this.#log.entries.length) this.#draw();
  }

  #filters(): HTMLElement {
    const buttons = FILTERS.map(([name, label]) => {
      const button = h("button", { type: "button", "aria-pressed": String(parameter("show") === name) }, label);
      button.addEventListener("click", () => {
        setParameter("show", name);
        for (const other of buttons) other.setAttribute("aria-pressed", String(other === button));
        this.#draw();
      });
      return button;
    });
    return h("div", { class: "segments", role: "group", "aria-label": "Which messages" }, ...buttons);
  }

  #toggle(): void {
    if (this.#log.paused) this.#log.resume();
    else this.#log.pause();
    this.#pause.setAttribute("aria-pressed", String(this.#log.paused));
    this.#draw();
  }

  #tellState(): void {
    const state = this.#stream.state.get();
    const words = { connecting: "Connecting…", live: "Live", lost: "Reconnecting…", refused: "Not live" };
    fill(this.#state, glyph(state.kind === "live" ? "online" : state.kind === "lost" ? "quiet" : "never"), h("span", {}, words[state.kind]));
    if (state.kind === "lost") {
      const retry = h("button", { type: "button", onclick: () => this.#stream.retry() }, "Try now");
      const why = state.error ? ` (${state.error.message})` : "";
      fill(this.#trouble, h("div", { class: "lost-note" }, h("span", { class: "long" }, `Reconnecting… messages since ${clock(state.since, now())} are not in this list${why}`), retry));
    } else if (state.kind === "refused") fill(this.#trouble, failure("The trace could not be followed", state.error, () => this.#stream.retry()));
    else fill(this.#trouble);
    this.#frame.ask();
  }

  #draw(): void {
    const log = this.#log;
    const wanted = (FILTERS.find(([name]) => name === parameter("show")) ?? FILTERS[0]!)[2];
    const matching = log.entries.filter((entry) => entry.kind === "gap" || wanted(entry)).reverse();
    const visible = matching.filter((entry, index) => index < this.#shown || this.#items.get(entry.n)?.row?.isOpen);
    setText(this.#pause, !log.paused ? "Pause" : log.waiting ? `Resume (${log.waiting} new)` : "Resume");
    setText(this.#note, log.dropped ? `${log.dropped.toLocaleString()} lines were left out: there were too many. The counts above have them all.` : "");
    this.#more.hidden = matching.length <= this.#shown;
    arrange(this.#list, visible.map((entry) => this.#item(entry)));
    const known = new Set(log.entries.map(({ n }) => n));
    for (const n of this.#items.keys()) if (!known.has(n)) this.#items.delete(n);
    const messages = (list: readonly Entry[]) => list.some(({ kind }) => kind === "message");
    this.#tellEmpty(!messages(visible), messages(log.entries));
  }

  #tellEmpty(empty: boolean, others: boolean): void {
    this.#empty.hidden = !empty || this.#stream.state.get().kind === "refused";
    const topic = filterOf(this.#sql);
    const key = others ? "others" : (topic ?? "none");
    if (this.#empty.dataset["shows"] === key) return;
    this.#empty.dataset["shows"] = key;
    const example = topic && !/[+#]/.test(topic) && [h("p", { class: "muted" }, "Or send one:"), command(`fieldline pub ${shell(topic)} ${shell('{"temperature":31}')}`, "the command")];
    if (others) fill(this.#empty, h("p", { class: "muted" }, "None of the messages so far is of this kind."));
    else fill(this.#empty, h("p", { class: "muted" }, "No message yet since this page was opened. The next one on the rule's topic appears here by itself."), ...(example || []));
  }

  #item(entry: Entry): HTMLElement {
    let item = this.#items.get(entry.n);
    if (entry.kind === "gap") {
      if (item?.version !== entry.count) {
        if (item) setText(item.element, gapWords(entry));
        else this.#items.set(entry.n, (item = { element: h("li", { class: "trace-gap" }, gapWords(entry)), version: entry.count }));
        item.version = entry.count;
      }
      return item.element;
    }
    if (!item) {
      const row = new TraceRow({ trial: false });
      this.#items.set(entry.n, (item = { element: row.element, row, version: -1 }));
    }
    if (item.version !== entry.version) {
      item.version = entry.version;
      item.row?.show(entry.message, entry.rule);
    }
    return item.element;
  }
}

function gapWords({ why, count, from = 0, to = 0 }: Gap): string {
  if (why === "lost") return `The connection was lost from ${clock(from, now())} to ${clock(to, now())}: messages of that time are not here`;
  if (why === "paused") return `${count.toLocaleString()} messages were dropped here: too many came during the pause`;
  return `${count.toLocaleString()} lines were left out here: there were too many`;
}
