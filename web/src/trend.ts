// The last five minutes of a device's first numeric field, thinned to what a
// sparkline can show.

import { MINUTE } from "./time";

export const TREND_SPAN = 5 * MINUTE;
const MOST = 120;
const STEP = TREND_SPAN / MOST;

export interface Point {
  readonly time: number;
  readonly value: number;
}

/** Appends a point. Where points come closer than can be seen, the newest stands for the ones before. Older ones are ignored. */
export function addPoint(points: Point[], point: Point): void {
  const last = points.at(-1);
  if (last && point.time < last.time) return;
  const before = points.at(-2);
  if (last && before && last.time - before.time < STEP) points.pop();
  points.push(point);
  const begin = point.time - TREND_SPAN;
  let old = 0;
  while (old < points.length && points[old]!.time < begin) old++;
  if (old) points.splice(0, old);
}

/** The SVG path of the points within the five minutes up to now, in a box of the given size. Silence of over `most` ms is left open. */
export function trendPath(points: readonly Point[], now: number, width: number, height: number, most: number): string {
  const shown = points.filter((point) => point.time >= now - TREND_SPAN && point.time <= now + 1000);
  if (!shown.length) return "";
  let low = Infinity;
  let high = -Infinity;
  for (const { value } of shown) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  const span = high - low;
  let path = "";
  let previous: Point | undefined;
  let alone = false;
  for (const point of shown) {
    const x = Math.min(width, width - ((now - point.time) / TREND_SPAN) * width).toFixed(1);
    const y = (span ? height - ((point.value - low) / span) * height : height / 2).toFixed(1);
    const joined = previous !== undefined && point.time - previous.time <= most;
    if (!joined && alone) path += "h0.1";
    path += `${joined ? "L" : "M"}${x} ${y}`;
    alone = !joined;
    previous = point;
  }
  return alone ? `${path}h0.1` : path;
}
