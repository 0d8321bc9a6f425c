// The current value of each field, large, with its age.

import { h, setText, tint } from "../dom";
import { setAge } from "../parts";
import type { Samples } from "../samples";
import { clock, iso } from "../time";
import { unitOf } from "../units";

interface Cell {
  readonly element: HTMLElement;
  readonly value: HTMLElement;
  readonly age: HTMLElement;
  shown: string | undefined;
}

export class Values {
  readonly element = h("dl", { class: "currents" });
  #cells = new Map<string, Cell>();

  /** Shows the newest values; one older than `patience` ms is dimmed and says since when it stands. */
  update(samples: Samples, asOf: number, patience: number): void {
    for (const [name, { field, reading }] of samples.latest()) {
      const cell = this.#cells.get(name) ?? this.#add(name);
      const key = `${reading.seq} ${reading.time}`;
      if (cell.shown !== key) {
        setText(cell.value, field.text);
        cell.value.classList.toggle("long", field.text.length > 12);
        cell.value.title = `${field.text}\n${iso(reading.time)}`;
        if (cell.shown !== undefined) tint(cell.value);
        cell.shown = key;
      }
      const stale = asOf - reading.time > patience;
      cell.element.classList.toggle("stale", stale);
      setAge(cell.age, reading.time, stale ? `since ${clock(reading.time, asOf)}, ` : "");
    }
  }

  #add(name: string): Cell {
    const value = h("span", { class: "figure" });
    const age = h("span", { class: "age" });
    const unit = unitOf(name);
    const element = h("div", { class: "current" }, h("dt", { title: name }, name), h("dd", { class: "reading" }, value, unit && h("span", { class: "unit" }, unit)), h("dd", {}, age));
    this.element.append(element);
    const cell: Cell = { element, value, age, shown: undefined };
    this.#cells.set(name, cell);
    return cell;
  }
}
