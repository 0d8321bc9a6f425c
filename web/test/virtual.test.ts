import { expect, it } from "vitest";
import { reveal, slice } from "../src/virtual";

it("takes the rows in the window and some to spare", () => {
  expect(slice(10_000, 40, 4000, 800, 5)).toEqual({ from: 95, to: 125 });
});

it("stays within the list at both ends", () => {
  expect(slice(10_000, 40, -100, 800, 5)).toEqual({ from: 0, to: 23 });
  expect(slice(10_000, 40, 399_600, 800, 5)).toEqual({ from: 9985, to: 10_000 });
  expect(slice(3, 40, 5000, 800, 5)).toEqual({ from: 3, to: 3 });
  expect(slice(0, 40, 0, 800, 5)).toEqual({ from: 0, to: 0 });
});

it("is never more than the window holds, however long the list", () => {
  const { from, to } = slice(1_000_000, 40, 123_456, 800, 5);
  expect(to - from).toBeLessThanOrEqual(800 / 40 + 1 + 10);
});

it("scrolls only as far as a row needs to be seen", () => {
  expect(reveal(10, 40, 300, 800, 80, 8)).toBe(300);
  expect(reveal(0, 40, 300, 800, 80, 8)).toBe(-80);
  expect(reveal(30, 40, 300, 800, 80, 8)).toBe(31 * 40 + 8 - 800);
});
