import { history } from "../api";
import { now } from "../clock";
import type { Feed } from "../feed";
import type { Reading } from "../reading";
import type { Scope } from "../signal";
import { SAMPLES } from "../quiet";
import type { Device } from "../store";
import { TREND_SPAN } from "../trend";

const AT_ONCE = 3;
const SETTLE = 200;

/** Fetches the last five minutes of the devices that stay on the screen, a few at a time, once each. */
export class TrendLoader {
  #feed: Feed;
  #scope: Scope;
  #asked = new Set<string>();
  #wanted = new Map<string, Device>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #running = 0;

  constructor(feed: Feed, scope: Scope) {
    this.#feed = feed;
    this.#scope = scope;
    scope.add(() => clearTimeout(this.#timer));
    scope.add(feed.gaps.listen(() => this.#asked.clear()));
  }

  /** Says that a device is on the screen. While the list scrolls, nothing is fetched. */
  want(device: Device): void {
    if (!device.last || this.#asked.has(device.name) || this.#wanted.has(device.name)) return;
    if (device.times.length >= SAMPLES) return; // the live connection has told enough
    if (this.#wanted.size > 200) this.#wanted.clear();
    this.#wanted.set(device.name, device);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#next(), SETTLE);
  }

  #next(): void {
    while (this.#running < AT_ONCE && this.#wanted.size && !this.#scope.closed) {
      const [name, device] = [...this.#wanted].at(-1)!;
      this.#wanted.delete(name);
      this.#asked.add(name);
      this.#running++;
      void this.#load(device).finally(() => {
        this.#running--;
        this.#next();
      });
    }
  }

  async #load(device: Device): Promise<void> {
    const found: Reading[] = [];
    const from = Math.min(now(), device.last?.time ?? now()) - TREND_SPAN;
    try {
      await history(device.name, { from, most: 300 }, (page) => found.push(...page));
    } catch {
      return; // a trend is an extra: the row goes on with what comes live
    }
    this.#feed.fleet.recall(device.name, found.reverse());
  }
}
