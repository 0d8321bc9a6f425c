import { expect, it } from "vitest";
import { Rate, rateText } from "../src/rate";
import { addPoint, type Point, TREND_SPAN, trendPath } from "../src/trend";

it("keeps five minutes, no denser than can be seen", () => {
  const points: Point[] = [];
  for (let time = 0; time <= 2 * TREND_SPAN; time += 100) addPoint(points, { time, value: time });
  expect(points.length).toBeLessThanOrEqual(122);
  expect(points[0]!.time).toBeGreaterThanOrEqual(TREND_SPAN);
  expect(points.at(-1)!.time).toBe(2 * TREND_SPAN);
});

it("ignores a point older than the last", () => {
  const points: Point[] = [{ time: 1000, value: 1 }];
  addPoint(points, { time: 500, value: 9 });
  expect(points).toEqual([{ time: 1000, value: 1 }]);
});

it("ends where the readings end, and leaves silence open", () => {
  const now = TREND_SPAN;
  const points = [0, 60_000, 240_000].map((time, i) => ({ time, value: i }));
  expect(trendPath(points, now, 100, 20, 90_000)).toBe("M0.0 20.0L20.0 10.0M80.0 0.0h0.1");
  expect(trendPath(points, now + 2 * TREND_SPAN, 100, 20, 90_000)).toBe("");
});

it("draws a constant value in the middle", () => {
  expect(trendPath([{ time: 0, value: 5 }, { time: 1000, value: 5 }], 1000, 100, 20, 5000)).toMatch(/ 10\.0L100\.0 10\.0$/);
});

it("counts messages over the last ten seconds", () => {
  const rate = new Rate();
  for (let at = 0; at < 20_000; at += 100) rate.count(at);
  expect(rate.perSecond(19_999)).toBe(10);
  expect(rate.perSecond(40_000)).toBe(0);
});

it.each([
  [0, "0 msg/s"],
  [0.4, "0.4 msg/s"],
  [12.4, "12 msg/s"],
])("%d messages a second are %s", (perSecond, text) => {
  expect(rateText(perSecond)).toBe(text);
});
