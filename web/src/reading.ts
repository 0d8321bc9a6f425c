// A reading, as it travels in WebSocket frames and in history.

import { elements, kindOf, members, toNumber, unquote } from "./json";

export interface Reading {
  readonly device: string;
  /** Milliseconds since the epoch: the order of a device's readings. */
  readonly time: number;
  /** Its number in the store: the order of arrival. */
  readonly seq: number;
  /** The JSON exactly as it was stored. */
  readonly payload: string;
}

/** One value of a payload; nested objects give dotted names. */
export interface Field {
  readonly name: string;
  /** What to show: a number's own digits, a string's text, anything else as JSON. */
  readonly text: string;
  /** Set for numbers only; for charts. */
  readonly number: number | undefined;
}

/** Names that say who and when rather than what was measured. */
const ENVELOPE = new Set(["device_id", "ts"]);
const MAX_FIELDS = 64;

/** Whether a replaces b as the latest: the later time wins, at equal time the later arrival. */
export function newer(a: Reading, b: Reading): boolean {
  return a.time > b.time || (a.time === b.time && a.seq > b.seq);
}

/** Reads {"seq","time","payload"} members; device is used where they do not name one. */
export function readingFrom(found: Map<string, string>, device?: string): Reading | undefined {
  const name = unquote(found.get("device_id")) ?? device;
  const time = toNumber(found.get("time"));
  const payload = found.get("payload");
  if (name === undefined || time === undefined || payload === undefined) return undefined;
  return { device: name, time, seq: toNumber(found.get("seq")) ?? 0, payload };
}

/** The measured values of a payload, in the order sent. One that is no object is a single value. */
export function fieldsOf(payload: string): Field[] {
  const out: Field[] = [];
  try {
    if (kindOf(payload) === "object") collect(payload, "", out);
    else out.push(field("value", payload));
  } catch {
    out.push({ name: "value", text: payload, number: undefined });
  }
  return out;
}

function collect(object: string, prefix: string, out: Field[]): void {
  for (const [name, raw] of members(object)) {
    if (out.length >= MAX_FIELDS) return;
    if (prefix === "" && ENVELOPE.has(name)) continue;
    if (kindOf(raw) === "object") collect(raw, `${prefix}${name}.`, out);
    else out.push(field(prefix + name, raw));
  }
}

function field(name: string, raw: string): Field {
  return { name, text: unquote(raw) ?? raw, number: toNumber(raw) };
}

/** A page of history: {"items":[…],"cursor"}. */
export function readHistory(text: string, device: string): { items: Reading[]; cursor: string | undefined } {
  const page = members(text);
  const items: Reading[] = [];
  for (const raw of elements(page.get("items") ?? "[]")) {
    const reading = readingFrom(members(raw), device);
    if (reading) items.push(reading);
  }
  return { items, cursor: unquote(page.get("cursor")) };
}
