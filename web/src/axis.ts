// What stands beside a chart: levels on its left, times below it.

import { SECOND } from "./time";

/** The numbers on the vertical axis, with as many decimals as the finest of them needs. */
export function levels(splits: readonly number[]): string[] {
  const decimals = Math.max(0, ...splits.map((at) => String(at).split(".")[1]?.length ?? 0));
  return splits.map((at) => (Math.abs(at) < 1e15 && decimals <= 12 ? at.toFixed(decimals) : String(at)));
}

const minutes = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const seconds = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });

/** A moment (seconds since the epoch) below the chart; step is the distance to the next one. */
export function tick(at: number, step: number): string {
  return (step < 60 ? seconds : minutes).format(at * SECOND);
}
