// The readings of one device within the shown range, ready for charts.

import { type Field, fieldsOf, type Reading } from "./reading";

export interface Sample {
  readonly reading: Reading;
  readonly fields: readonly Field[];
}

/** One field over time. xs are seconds, as the chart wants them; a null y leaves a gap open. */
export interface Column {
  readonly xs: number[];
  readonly ys: (number | null)[];
  /** What the device sent, digit for digit; "" at gaps. */
  readonly texts: string[];
}

export class Samples {
  #samples: Sample[] = [];

  get all(): readonly Sample[] {
    return this.#samples;
  }

  /** Takes readings in, in any order; one that is there already is not taken twice. */
  add(readings: readonly Reading[]): void {
    const rising = [...readings].sort(compare);
    const first = rising[0];
    if (!first) return;
    const last = this.#samples.at(-1);
    const fresh = rising.map((reading) => ({ reading, fields: fieldsOf(reading.payload) }));
    if (!last || compare(last.reading, first) < 0) this.#samples.push(...fresh);
    else this.#samples = merge(this.#samples, fresh);
  }

  /** Drops what is older than `before` (milliseconds). */
  prune(before: number): void {
    const keep = this.#samples.findIndex((sample) => sample.reading.time >= before);
    if (keep > 0) this.#samples.splice(0, keep);
    else if (keep < 0) this.#samples = [];
  }

  /** The newest value of each field, in the order in which the newest reading names them. */
  latest(): Map<string, { readonly field: Field; readonly reading: Reading }> {
    const found = new Map<string, { field: Field; reading: Reading }>();
    const oldest = Math.max(0, this.#samples.length - 100);
    for (let i = this.#samples.length - 1; i >= oldest; i--) {
      const { reading, fields } = this.#samples[i]!;
      for (const field of fields) if (!found.has(field.name)) found.set(field.name, { field, reading });
    }
    return found;
  }

  /** The points of one field. Where none came for over `most` ms the line is broken. */
  column(name: string, most: number): Column {
    const column: Column = { xs: [], ys: [], texts: [] };
    let previous: number | undefined;
    for (const { reading, fields } of this.#samples) {
      const field = fields.find((candidate) => candidate.name === name);
      if (field?.number === undefined) continue;
      if (previous !== undefined && reading.time - previous > most) push(column, (previous + reading.time) / 2, null, "");
      push(column, reading.time, field.number, field.text);
      previous = reading.time;
    }
    return column;
  }
}

function push(column: Column, time: number, y: number | null, text: string): void {
  column.xs.push(time / 1000);
  column.ys.push(y);
  column.texts.push(text);
}

function compare(a: Reading, b: Reading): number {
  return a.time - b.time || a.seq - b.seq;
}

function merge(a: readonly Sample[], b: readonly Sample[]): Sample[] {
  const out: Sample[] = [];
  let i = 0;
  let j = 0;
  while (i < a.length || j < b.length) {
    const left = a[i];
    const right = b[j];
    const order = left && right ? compare(left.reading, right.reading) : left ? -1 : 1;
    out.push(order <= 0 ? left! : right!);
    if (order <= 0) i++;
    if (order >= 0) j++;
  }
  return out;
}
