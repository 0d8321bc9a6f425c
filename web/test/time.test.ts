import { expect, it } from "vitest";
import { age, clock, DAY, duration, HOUR, iso, MINUTE, SECOND, took } from "../src/time";

it.each([
  [0, "now"],
  [999, "now"],
  [SECOND, "1 s ago"],
  [59_999, "59 s ago"],
  [MINUTE, "1 min ago"],
  [59 * MINUTE + 59_999, "59 min ago"],
  [HOUR, "1 h ago"],
  [47 * HOUR, "47 h ago"],
  [2 * DAY, "2 days ago"],
  [-2 * SECOND, "now"],
  [-10 * MINUTE, "10 min ahead"],
])("the age of a reading %d ms old is %s", (span, words) => {
  expect(age(1_800_000_000_000 - span, 1_800_000_000_000)).toBe(words);
});

it("never tells a negative duration", () => {
  expect(duration(-5)).toBe("0 s");
});

it("names the day only when it is another", () => {
  const noon = new Date(2026, 10, 23, 12, 0, 5).getTime();
  expect(clock(noon, noon + HOUR)).toBe("12:00:05");
  expect(clock(noon, noon + DAY)).toBe("2026-11-23 12:00:05");
});

it("gives ISO times, and survives what is no time", () => {
  expect(iso(0)).toBe("1970-01-01T00:00:00.000Z");
  expect(iso(Number.MAX_VALUE)).toBe(String(Number.MAX_VALUE));
});

it.each([
  [0, "0 ns"],
  [840, "840 ns"],
  [12_440, "12.4 µs"],
  [999_400, "999 µs"],
  [999_600, "1 ms"],
  [3_200_000, "3.2 ms"],
  [150_000_000, "150 ms"],
  [1_400_000_000, "1.4 s"],
  [125_000_000_000, "2 min"],
])("%d ns are %s", (nanoseconds, words) => {
  expect(took(nanoseconds)).toBe(words);
});
