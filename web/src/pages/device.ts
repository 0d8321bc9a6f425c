// One device: its state in words, its values, its charts, its messages.

import * as api from "../api";
import { now } from "../clock";
import type { Context } from "../context";
import { fill, h, setText } from "../dom";
import { asApiError } from "../feed";
import { perFrame } from "../frame";
import { failure, glyph, heading, notice } from "../parts";
import { patience, SAMPLES } from "../quiet";
import type { Reading } from "../reading";
import { parameter, setParameter } from "../router";
import { Samples } from "../samples";
import { stateOf } from "../store";
import { clock, DAY, HOUR, MINUTE } from "../time";
import { Charts } from "./charts";
import { certificateWords, howToConnect } from "./howto";
import { Messages } from "./messages";
import { stateWords } from "./statewords";
import { Values } from "./values";

const RANGES: ReadonlyArray<readonly [string, number]> = [
  ["5 min", 5 * MINUTE],
  ["1 h", HOUR],
  ["24 h", DAY],
];
/** The most readings that a chart is given. */
const MOST = 20_000;

/** Shows the device of this name, live. The range is the URL's range. */
export function devicePage(context: Context, name: string): string {
  new DeviceView(context, name);
  return name;
}

class DeviceView {
  #context: Context;
  #name: string;
  #samples = new Samples();
  #values = new Values();
  #charts = new Charts();
  #messages: Messages;
  #state = h("p", { class: "state" }, "…");
  #certificate = h("p", { class: "muted" });
  #note = h("p", { class: "muted note", role: "status" });
  #content = h("div", { class: "device" });
  #connect = h("div");
  #info: api.DeviceInfo | undefined;
  #load = 0;
  /** What is to be said of the history once it is there. */
  #loaded: string | undefined;
  #frame = perFrame(() => this.#draw());

  constructor(context: Context, name: string) {
    this.#context = context;
    this.#name = name;
    const { feed, main, scope } = context;
    this.#messages = new Messages(scope);
    const title = heading(name);
    title.title = name;
    main.append(h("div", { class: "head device-head" }, title, this.#state, this.#certificate), this.#content);
    const range = h("div", { class: "section-head" }, h("h2", {}, "Readings"), this.#ranges());
    fill(this.#content, this.#values.element, range, this.#note, this.#charts.element, this.#messages.element, this.#connect);

    scope.add(() => this.#charts.close());
    scope.add(this.#frame.cancel);
    scope.add(feed.fleet.listen((device, reading) => device.name === name && this.#take([reading])));
    scope.add(feed.gaps.listen(() => void this.#history()));
    scope.watch(feed.live.state, this.#frame.ask);
    scope.watch(feed.fleet.presence, this.#frame.ask);
    scope.watch(feed.session, () => this.#describe());
    scope.every(1000, this.#frame.ask);
    const last = feed.fleet.get(name)?.last;
    if (last) this.#take([last]);
    void this.#history();
    void this.#details();
  }

  #range(): number {
    return RANGES.find(([label]) => label.replace(" ", "") === parameter("range"))?.[1] ?? RANGES[0]![1];
  }

  #ranges(): HTMLElement {
    const buttons = RANGES.map(([label, span]) => {
      const button = h("button", { type: "button", "aria-pressed": String(span === this.#range()) }, label);
      button.addEventListener("click", () => {
        setParameter("range", span === RANGES[0]![1] ? "" : label.replace(" ", ""));
        for (const other of buttons) other.setAttribute("aria-pressed", String(other === button));
        this.#draw();
        void this.#history();
      });
      return button;
    });
    return h("div", { class: "segments", role: "group", "aria-label": "Time range" }, ...buttons);
  }

  #take(readings: readonly Reading[]): void {
    this.#samples.add(readings);
    this.#messages.add(readings);
    this.#frame.ask();
  }

  /** Fetches the shown range; a later call makes an earlier one stop. */
  async #history(): Promise<void> {
    const load = ++this.#load;
    const stopped = () => this.#context.scope.closed || load !== this.#load;
    this.#loaded = undefined;
    setText(this.#note, "Loading the history…");
    try {
      const from = now() - this.#range();
      const whole = await api.history(this.#name, { from, most: MOST }, (page) => this.#take(page), stopped);
      if (stopped()) return;
      this.#loaded = whole ? "" : `Showing the newest ${MOST.toLocaleString()} readings of this range.`;
      this.#frame.ask();
    } catch (cause) {
      if (stopped()) return;
      const error = asApiError(cause);
      // The details, below, say how to log in.
      const why = error.status === 401 ? "" : `The history could not be loaded: ${error.message}. It is tried again when the connection returns.`;
      setText(this.#note, why);
      const off = this.#context.feed.live.state.listen(({ kind }) => kind === "live" && (off(), void this.#history()));
      this.#context.scope.add(off);
    }
  }

  async #details(): Promise<void> {
    try {
      this.#info = await api.device(this.#name);
      if (this.#context.scope.closed) return;
      this.#context.feed.fleet.describe([this.#info], now()); // the whole list may be long in coming
      if (this.#info.last) this.#take([this.#info.last]);
      this.#describe();
      if (this.#info.last) await this.#rhythm(this.#info.last);
    } catch (cause) {
      if (this.#context.scope.closed) return;
      const error = asApiError(cause);
      if (error.status === 404) this.#unknown();
      else fill(this.#connect, failure("The device's details could not be loaded", error, () => void this.#details()));
    }
  }

  /** Learns how often a device reports from its last readings, however long ago they were. */
  async #rhythm(last: Reading): Promise<void> {
    const { feed, scope } = this.#context;
    if ((feed.fleet.get(this.#name)?.times.length ?? 0) > 2) return;
    const found: Reading[] = [];
    await api.history(this.#name, { from: last.time - DAY, to: last.time + 1, most: SAMPLES }, (page) => found.push(...page));
    if (scope.closed) return;
    feed.fleet.recall(this.#name, found.toReversed());
    this.#messages.add(found);
    this.#frame.ask();
  }

  #unknown(): void {
    if (this.#samples.all.length) return;
    fill(this.#state);
    fill(
      this.#content,
      notice(
        "No device of this name",
        h("p", {}, "There is neither a thing nor a reading called so. It may have been deleted, or the address has a slip."),
        h("p", {}, h("a", { href: "/" }, "Go to the devices"), " or ", h("a", { href: "/add" }, "add a device"), "."),
      ),
    );
  }

  #describe(): void {
    const soonest = this.#info?.certificates.toSorted((a, b) => a.notAfter - b.notAfter)[0];
    fill(this.#certificate, soonest && certificateWords(soonest, "certificate "));
    fill(this.#connect, howToConnect(this.#name, this.#info, this.#context.feed.session.get()));
  }

  #draw(): void {
    const { feed } = this.#context;
    const device = feed.fleet.get(this.#name);
    const at = feed.asOf();
    const wait = patience(device?.interval);
    if (device) {
      const state = stateOf(device, at);
      const lost = feed.live.state.get().kind === "lost";
      fill(this.#state, glyph(state), h("span", {}, stateWords(device, state, at), lost && ` · as of ${clock(at, now())}`));
    }
    const range = this.#range();
    const to = now();
    this.#prune(to - range);
    this.#values.update(this.#samples, at, wait);
    this.#charts.draw(this.#samples, to - range, to, wait);
    if (this.#loaded !== undefined) setText(this.#note, this.#loaded || this.#silence(to - range));
  }

  /** What to say where the charts have nothing to show. */
  #silence(from: number): string {
    const last = this.#samples.all.at(-1)?.reading;
    this.#content.classList.toggle("unheard", !last);
    if (!last) return "No reading yet. The first one appears here by itself.";
    return last.time < from ? `No reading in this range. The last one is of ${clock(last.time, now())}.` : "";
  }

  /** Drops what left the range, but keeps the newest reading: a quiet device still has its last values. */
  #prune(before: number): void {
    const last = this.#samples.all.at(-1)?.reading;
    this.#samples.prune(Math.min(before, last?.time ?? before));
  }
}
