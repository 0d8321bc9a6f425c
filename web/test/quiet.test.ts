import { expect, it } from "vitest";
import { patience, usualInterval } from "../src/quiet";

it("the usual interval is the median of the last ones", () => {
  expect(usualInterval([])).toBeUndefined();
  expect(usualInterval([1000])).toBeUndefined();
  expect(usualInterval([0, 5000])).toBe(5000);
  expect(usualInterval([0, 5000, 10_000, 900_000])).toBe(5000);
  expect(usualInterval([0, 4000, 10_000])).toBe(5000);
});

it("patience is three intervals, 30 s at least, 5 min while the rhythm is unknown", () => {
  expect(patience(60_000)).toBe(180_000);
  expect(patience(5000)).toBe(30_000);
  expect(patience(undefined)).toBe(300_000);
});
