// Whether a device reports as usual. It is quiet when nothing came for three
// times its usual interval, the median of its last ones, and for 30 s at least.

import { MINUTE, SECOND } from "./time";

/** How many arrivals the usual interval is taken from. */
export const SAMPLES = 20;
const LEAST = 30 * SECOND;
/** For a device whose rhythm is not known yet. */
const UNKNOWN = 5 * MINUTE;

/** The median distance between rising times, or undefined for fewer than two of them. */
export function usualInterval(times: readonly number[]): number | undefined {
  if (times.length < 2) return undefined;
  const gaps: number[] = [];
  for (let i = 1; i < times.length; i++) gaps.push(times[i]! - times[i - 1]!);
  gaps.sort((a, b) => a - b);
  const middle = gaps.length >> 1;
  return gaps.length % 2 ? gaps[middle]! : (gaps[middle - 1]! + gaps[middle]!) / 2;
}

/** How long silence may last before the device counts as quiet. */
export function patience(interval: number | undefined): number {
  return interval === undefined ? UNKNOWN : Math.max(LEAST, 3 * interval);
}
