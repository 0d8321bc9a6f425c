import { expect, it } from "vitest";
import type { Reading } from "../src/reading";
import { Samples } from "../src/samples";

const reading = (time: number, seq: number, payload = `{"v":${seq}.0}`): Reading => ({ device: "a", time, seq, payload });

it("orders readings however they come, and takes each once", () => {
  const samples = new Samples();
  samples.add([reading(3000, 3)]);
  samples.add([reading(2000, 2), reading(1000, 1), reading(3000, 3)]);
  samples.add([reading(4000, 4)]);
  expect(samples.all.map((sample) => sample.reading.seq)).toEqual([1, 2, 3, 4]);
});

it("gives a chart numbers, and the text that was sent", () => {
  const samples = new Samples();
  samples.add([reading(1000, 1), reading(2000, 2)]);
  expect(samples.column("v", 5000)).toEqual({ xs: [1, 2], ys: [1, 2], texts: ["1.0", "2.0"] });
});

it("leaves silence open instead of drawing across it", () => {
  const samples = new Samples();
  samples.add([reading(1000, 1), reading(11_000, 2)]);
  expect(samples.column("v", 5000).ys).toEqual([1, null, 2]);
});

it("keeps the newest value of each field, also of one that the last message lacks", () => {
  const samples = new Samples();
  samples.add([reading(1000, 1, '{"a":1,"b":2}'), reading(2000, 2, '{"a":3}')]);
  const latest = samples.latest();
  expect([...latest].map(([name, { field, reading: from }]) => [name, field.text, from.seq])).toEqual([
    ["a", "3", 2],
    ["b", "2", 1],
  ]);
});

it("drops what left the range", () => {
  const samples = new Samples();
  samples.add([reading(1000, 1), reading(2000, 2)]);
  samples.prune(2000);
  expect(samples.all.map((sample) => sample.reading.seq)).toEqual([2]);
  samples.prune(9000);
  expect(samples.all).toEqual([]);
});
