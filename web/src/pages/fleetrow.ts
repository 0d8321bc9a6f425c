import { now } from "../clock";
import { fill, h, setAttribute, setText, svg, tint } from "../dom";
import { patience } from "../quiet";
import { type Field, fieldsOf } from "../reading";
import { devicePath } from "../router";
import type { Device, DeviceState } from "../store";
import { age, iso } from "../time";
import { trendPath } from "../trend";
import { unitOf } from "../units";

const SHOWN_FIELDS = 4;
const WIDTH = 160;
const HEIGHT = 24;
const WORDS: Record<DeviceState, string> = { online: "online", quiet: "quiet", never: "never seen" };

/** One row of the device list; rows are used again for other devices. */
export class FleetRow {
  readonly link = h("a", { href: "/" });
  readonly element: HTMLElement;
  #glyph = h("span", { class: "glyph never", "aria-hidden": "true" });
  #word = h("span", { class: "sr" });
  #values = h("span", { class: "values", role: "cell" });
  #path = svg("path", {});
  #seen = h("time", {});
  #shown: string | undefined;
  #names = "";
  #numbers: HTMLElement[] = [];

  constructor() {
    const name = h("span", { class: "name", role: "cell" }, this.#glyph, this.#word, this.link);
    const box = svg("svg", { viewBox: `0 -2 ${WIDTH} ${HEIGHT + 4}`, width: WIDTH, height: HEIGHT + 4, "aria-hidden": "true" }, this.#path);
    const trend = h("span", { class: "trend", role: "cell" });
    trend.append(box);
    this.element = h("div", { class: "row", role: "row" }, name, this.#values, trend, h("span", { class: "seen", role: "cell" }, this.#seen));
  }

  /** Makes the row that of a device. */
  assign(device: Device): void {
    this.#shown = undefined;
    this.#numbers = [];
    fill(this.#values);
    this.link.href = devicePath(device.name);
    setText(this.link, device.name);
    this.link.title = device.name;
  }

  /** Puts the row at its place in the list. */
  place(index: number, height: number): void {
    this.element.style.transform = `translateY(${index * height}px)`;
    if (this.element.dataset["index"] === String(index)) return;
    this.element.dataset["index"] = String(index);
    setAttribute(this.element, "aria-rowindex", String(index + 2));
  }

  update(device: Device, state: DeviceState, at: number): void {
    this.element.className = `row ${state}`;
    this.#glyph.className = `glyph ${state}`;
    setAttribute(this.#glyph, "title", WORDS[state]);
    setText(this.#word, `${WORDS[state]} `);
    this.#payload(device);
    setAttribute(this.#path, "d", trendPath(device.trend, at, WIDTH, HEIGHT, patience(device.interval)));
    setText(this.#seen, seenWords(device, state));
    if (device.heard !== undefined) setAttribute(this.#seen, "title", iso(device.heard));
    else this.#seen.removeAttribute("title");
  }

  #payload(device: Device): void {
    const payload = device.last?.payload;
    if (payload === this.#shown && this.#values.firstChild) return;
    this.#shown = payload;
    if (payload === undefined) return fill(this.#values, h("span", { class: "none" }, "–"));
    const fields = fieldsOf(payload);
    const shown = [...fields.filter((field) => field.number !== undefined), ...fields.filter((field) => field.number === undefined)];
    this.#fields(shown.slice(0, SHOWN_FIELDS));
    setAttribute(this.#values, "title", fields.map((field) => `${field.name} ${field.text}`).join("\n"));
  }

  /** Changes the numbers in place while the names stay the same. */
  #fields(fields: readonly Field[]): void {
    const names = fields.map((field) => field.name).join("\n");
    if (names !== this.#names || !this.#numbers.length) {
      this.#names = names;
      this.#numbers = fields.map((field) => h("span", { class: "number" }, field.text));
      return fill(this.#values, ...fields.map((field, i) => valueElement(field.name, this.#numbers[i]!)));
    }
    fields.forEach((field, i) => {
      const number = this.#numbers[i]!;
      if (number.textContent === field.text) return;
      setText(number, field.text);
      tint(number);
    });
  }
}

/** A value with its unit, or with its name where the name tells no unit. */
function valueElement(name: string, value: HTMLElement): HTMLElement {
  const unit = unitOf(name);
  return unit ? h("span", { class: "value" }, value, h("small", {}, ` ${unit}`)) : h("span", { class: "value" }, h("small", {}, `${name} `), value);
}

function seenWords(device: Device, state: DeviceState): string {
  if (device.heard === undefined) return state === "never" ? "never" : "no reading yet";
  const words = age(device.heard, now());
  return state === "quiet" ? `quiet, ${words}` : words;
}
