// Messages per second over the last ten seconds.

const SECONDS = 10;

export class Rate {
  #counts = new Array<number>(SECONDS).fill(0);
  #second = 0;
  #since: number | undefined;

  /** Counts one message that came at `at` (milliseconds). */
  count(at: number): void {
    this.#advance(at);
    this.#counts[this.#second % SECONDS]!++;
  }

  /** Messages per second, counted over at most ten seconds. */
  perSecond(at: number): number {
    this.#advance(at);
    const span = Math.min(SECONDS, Math.max(1, this.#second - this.#since! + 1));
    return this.#counts.reduce((sum, n) => sum + n, 0) / span;
  }

  #advance(at: number): void {
    const second = Math.floor(at / 1000);
    this.#since ??= second;
    if (second - this.#second >= SECONDS) this.#counts.fill(0);
    else for (let s = this.#second + 1; s <= second; s++) this.#counts[s % SECONDS] = 0;
    this.#second = Math.max(this.#second, second);
  }
}

/** "12 msg/s", "0.4 msg/s": a whole number from ten on. */
export function rateText(perSecond: number): string {
  const shown = perSecond >= 10 ? perSecond.toFixed(0) : perSecond.toFixed(1).replace(/\.0$/, "");
  return `${shown} msg/s`;
}
