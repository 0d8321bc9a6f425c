// What is known of the fleet. Readings, the device list and presence arrive in
// any order and are merged here; the pages only look.

import type { Certificate, DeviceInfo, Presence } from "./api";
import { patience, SAMPLES, usualInterval } from "./quiet";
import { fieldsOf, newer, type Reading } from "./reading";
import { type Dispose, type Signal, signal } from "./signal";
import { addPoint, type Point } from "./trend";

/** never: not heard of yet; quiet: silent for longer than is usual, or gone. */
export type DeviceState = "online" | "quiet" | "never";

export interface Device {
  readonly name: string;
  readonly key: string;
  thing: boolean;
  /** Its MQTT connection, while it has one. */
  connected: { readonly since: number; readonly source: string } | undefined;
  /** When its MQTT connection was seen to be gone. */
  goneAt: number | undefined;
  certificates: readonly Certificate[];
  last: Reading | undefined;
  /** When the last reading came, as far as is known: for one caught up on, its own time. */
  heard: number | undefined;
  /** Times of the last readings, rising. */
  times: number[];
  /** The usual interval between readings in milliseconds, when known. */
  interval: number | undefined;
  trend: Point[];
  trendField: string | undefined;
}

type Listener = (device: Device, reading: Reading) => void;

/** What devices are sorted by: the name without case, numbers by their value. Ten thousand of these compare faster than a collator does. */
function sortKey(name: string): string {
  return name.toLowerCase().replace(/[0-9]+/g, (digits) => digits.padStart(16, "0"));
}

function byKey(a: Device, b: Device): number {
  if (a.key !== b.key) return a.key < b.key ? -1 : 1;
  return a.name < b.name ? -1 : 1;
}

export class Fleet {
  /** Counts changes to which devices there are. */
  readonly list: Signal<number> = signal(0);
  /** Counts changes of presence. */
  readonly presence: Signal<number> = signal(0);
  #devices = new Map<string, Device>();
  #sorted: Device[] | undefined;
  #listeners = new Set<Listener>();

  get size(): number {
    return this.#devices.size;
  }

  get(name: string): Device | undefined {
    return this.#devices.get(name);
  }

  /** Every device, by name, numbers in names by their value. */
  sorted(): readonly Device[] {
    this.#sorted ??= [...this.#devices.values()].sort(byKey);
    return this.#sorted;
  }

  /** Tells fn each reading taken in, whether or not it is its device's latest. */
  listen(fn: Listener): Dispose {
    this.#listeners.add(fn);
    return () => this.#listeners.delete(fn);
  }

  /** Takes a reading in; heard is when it came. An older one never replaces a newer. */
  take(reading: Reading, heard: number): void {
    const device = this.#ensure(reading.device);
    this.#latest(device, reading, heard);
    this.#sample(device, reading);
    for (const fn of [...this.#listeners]) fn(device, reading);
  }

  /** Takes a page of the device list in. */
  describe(page: readonly DeviceInfo[], now: number): void {
    for (const info of page) {
      const device = this.#ensure(info.name);
      device.thing = info.thing;
      device.certificates = info.certificates;
      if (info.online && info.since !== null) device.connected = { since: info.since, source: info.source ?? "" };
      if (info.last) this.#latest(device, info.last, Math.min(info.last.time, now));
    }
    this.list.set(this.list.get() + 1);
  }

  /** Forgets the devices that a complete device list did not name. */
  keep(names: ReadonlySet<string>): void {
    for (const name of [...this.#devices.keys()]) {
      if (names.has(name)) continue;
      this.#devices.delete(name);
      this.#sorted = undefined;
    }
    this.list.set(this.list.get() + 1);
  }

  /** Takes in who holds an MQTT connection now. */
  attend(online: Presence["online"], now: number): void {
    const present = new Map(Object.entries(online));
    for (const device of this.#devices.values()) {
      const connection = present.get(device.name);
      if (device.connected && !connection) device.goneAt = now;
      if (connection) device.goneAt = undefined;
      device.connected = connection;
    }
    this.presence.set(this.presence.get() + 1);
  }

  /** Fills a device's trend and rhythm from its history, given oldest first. */
  recall(name: string, readings: readonly Reading[]): void {
    const device = this.#devices.get(name);
    if (!device) return;
    const recent = [...readings];
    if (device.last && recent.at(-1) && newer(device.last, recent.at(-1)!)) recent.push(device.last);
    device.times = [];
    device.trend = [];
    for (const reading of recent) this.#sample(device, reading);
  }

  #latest(device: Device, reading: Reading, heard: number): void {
    if (device.heard === undefined || heard > device.heard) device.heard = heard;
    if (!device.last || newer(reading, device.last)) device.last = reading;
  }

  /** Notes a reading for the trend and the rhythm, which only go forward. */
  #sample(device: Device, reading: Reading): void {
    const before = device.times.at(-1);
    if (before !== undefined && reading.time <= before) return;
    device.times.push(reading.time);
    if (device.times.length > SAMPLES) device.times.shift();
    device.interval = usualInterval(device.times);
    const fields = fieldsOf(reading.payload);
    device.trendField ??= fields.find((field) => field.number !== undefined)?.name;
    const value = fields.find((field) => field.name === device.trendField)?.number;
    if (value !== undefined) addPoint(device.trend, { time: reading.time, value });
  }

  #ensure(name: string): Device {
    let device = this.#devices.get(name);
    if (!device) {
      device = {
        name,
        key: sortKey(name),
        thing: false,
        connected: undefined,
        goneAt: undefined,
        certificates: [],
        last: undefined,
        heard: undefined,
        times: [],
        interval: undefined,
        trend: [],
        trendField: undefined,
      };
      this.#devices.set(name, device);
      this.#sorted = undefined;
      this.list.set(this.list.get() + 1);
    }
    return device;
  }
}

/** The state of a device as of a moment. */
export function stateOf(device: Device, at: number): DeviceState {
  const { heard, goneAt } = device;
  if (heard === undefined) return device.connected ? "online" : "never";
  if (goneAt !== undefined && heard <= goneAt) return "quiet";
  return at - heard > patience(device.interval) ? "quiet" : "online";
}
