// Times in words. Everything here takes its "now": clock.ts knows the server's.

export const SECOND = 1000;
export const MINUTE = 60 * SECOND;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;

const clockFormat = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });

/** A length of time in its largest whole unit: "4 s", "6 min", "3 h", "12 days". */
export function duration(ms: number): string {
  const span = Math.max(0, ms);
  if (span < MINUTE) return `${Math.floor(span / SECOND)} s`;
  if (span < HOUR) return `${Math.floor(span / MINUTE)} min`;
  if (span < 2 * DAY) return `${Math.floor(span / HOUR)} h`;
  return `${Math.floor(span / DAY)} days`;
}

/** A short span, given in nanoseconds, in three digits at most: "840 ns", "12.4 µs", "3.2 ms", "1.4 s". */
export function took(nanoseconds: number): string {
  let value = nanoseconds;
  for (const unit of ["ns", "µs", "ms"]) {
    if (value < 999.5) return `${value < 99.95 && unit !== "ns" ? Number(value.toFixed(1)) : Math.round(value)} ${unit}`;
    value /= 1000;
  }
  return value < 60 ? `${Number(value.toFixed(1))} s` : duration(value * SECOND);
}

/** How long ago `at` was: "2 s ago"; a moment ahead of now is "now", far ahead says so. */
export function age(at: number, now: number): string {
  const span = now - at;
  if (span < -5 * SECOND) return `${duration(-span)} ahead`;
  if (span < SECOND) return "now";
  return `${duration(span)} ago`;
}

/** Local time with seconds, and the date when it is not today's. */
export function clock(at: number, now: number): string {
  const time = clockFormat.format(at);
  return day(at) === day(now) ? time : `${day(at)} ${time}`;
}

/** The full ISO time, for titles. */
export function iso(at: number): string {
  const date = new Date(at);
  return Number.isNaN(date.getTime()) ? String(at) : date.toISOString();
}

/** The local date as 2026-11-23, which reads alike everywhere. */
export function day(at: number): string {
  const date = new Date(at);
  const two = (n: number) => String(n).padStart(2, "0");
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
}
