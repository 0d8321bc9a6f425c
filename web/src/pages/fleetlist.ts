// The rows of the device list: only those on the screen exist, and they are
// brought up to date once a frame.

import { h } from "../dom";
import type { Feed } from "../feed";
import { perFrame } from "../frame";
import { devicePath, type Router } from "../router";
import type { Scope } from "../signal";
import { type Device, stateOf } from "../store";
import { reveal, slice } from "../virtual";
import { FleetRow } from "./fleetrow";
import { TrendLoader } from "./trendloader";

const SPARE = 6;

export class FleetList {
  readonly element: HTMLElement;
  #feed: Feed;
  #head = columns();
  #body = h("div", { class: "rows", role: "rowgroup" });
  #devices: readonly Device[] = [];
  #rows = new Map<string, FleetRow>();
  #pool: FleetRow[] = [];
  #dirty = new Set<string>();
  #loader: TrendLoader;
  #drawn = 0;
  #frame = perFrame(() => this.#draw());

  constructor(feed: Feed, scope: Scope) {
    this.#feed = feed;
    this.#loader = new TrendLoader(feed, scope);
    this.element = h("div", { class: "table", role: "table", "aria-label": "Devices" }, this.#head, this.#body);
    scope.add(this.#frame.cancel);
    scope.add(
      feed.fleet.listen((device) => {
        if (!this.#rows.has(device.name)) return;
        this.#dirty.add(device.name);
        this.#frame.ask();
      }),
    );
    scope.on(window, "scroll", this.#frame.ask);
    scope.on(window, "resize", this.#frame.ask);
    scope.on<KeyboardEvent>(this.#body, "keydown", (event) => this.#key(event));
  }

  /** Shows these devices in this order; every row is looked at again. */
  show(devices: readonly Device[]): void {
    this.#devices = devices;
    this.element.setAttribute("aria-rowcount", String(devices.length + 1));
    this.#body.style.height = `${devices.length * this.#rowHeight()}px`;
    for (const name of this.#rows.keys()) this.#dirty.add(name);
    this.#draw();
  }

  /** Moves the focus to a row, scrolling it into view. */
  focus(index: number): void {
    const device = this.#devices[index];
    if (!device) return;
    const height = this.#rowHeight();
    const top = this.#body.getBoundingClientRect().top;
    const frame = parseFloat(document.documentElement.style.getPropertyValue("--top")) || 0;
    scrollBy(0, reveal(index, height, -top, innerHeight, frame + this.#head.offsetHeight, 8) + top);
    this.#draw();
    this.#rows.get(device.name)?.link.focus({ preventScroll: true });
  }

  /** Moves the focus to the row of a device, if it is listed. */
  select(name: string): void {
    const index = this.#devices.findIndex((device) => device.name === name);
    if (index >= 0) this.focus(index);
  }

  /** Opens the first device. */
  open(router: Router): void {
    const first = this.#devices[0];
    if (first) router.go(devicePath(first.name));
  }

  #key(event: KeyboardEvent): void {
    const focused = event.target instanceof Element ? event.target.closest<HTMLElement>("[data-index]") : null;
    if (!focused) return;
    const index = Number(focused.dataset["index"]);
    const page = Math.max(1, Math.floor(innerHeight / this.#rowHeight()) - 4);
    const target = { ArrowDown: index + 1, ArrowUp: index - 1, PageDown: index + page, PageUp: index - page, Home: 0, End: Infinity }[event.key];
    if (target === undefined) return;
    event.preventDefault();
    this.focus(Math.max(0, Math.min(this.#devices.length - 1, target)));
  }

  #draw(): void {
    if (!this.#body.isConnected) return;
    const height = this.#rowHeight();
    const top = this.#body.getBoundingClientRect().top;
    const { from, to } = slice(this.#devices.length, height, -top, innerHeight, SPARE);
    const wanted = this.#devices.slice(from, to);
    this.#recycle(new Set(wanted.map((device) => device.name)));
    const at = this.#feed.asOf();
    const second = Math.floor(at / 1000);
    let next = this.#body.firstElementChild;
    wanted.forEach((device, i) => {
      const row = this.#row(device);
      // In the page's order too, for Tab and for screen readers; rows that stay are not moved and keep the focus.
      if (row.element === next) next = next.nextElementSibling;
      else this.#body.insertBefore(row.element, next);
      row.place(from + i, height);
      if (this.#dirty.has(device.name) || this.#drawn !== second) row.update(device, stateOf(device, at), at);
      this.#loader.want(device);
    });
    this.#drawn = second;
    this.#dirty.clear();
  }

  #row(device: Device): FleetRow {
    let row = this.#rows.get(device.name);
    if (row) return row;
    row = this.#pool.pop() ?? new FleetRow();
    row.assign(device);
    this.#rows.set(device.name, row);
    this.#dirty.add(device.name);
    return row;
  }

  #recycle(wanted: ReadonlySet<string>): void {
    for (const [name, row] of this.#rows) {
      if (wanted.has(name)) continue;
      row.element.remove();
      this.#rows.delete(name);
      this.#pool.push(row);
    }
  }

  #rowHeight(): number {
    return matchMedia("(max-width: 640px)").matches ? 64 : 40;
  }
}

function columns(): HTMLElement {
  const names = ["Device", "Last reading", "Trend (5 min)", "Seen"];
  return h("div", { class: "columns", role: "row", "aria-rowindex": "1" }, ...names.map((name) => h("span", { role: "columnheader" }, name)));
}
