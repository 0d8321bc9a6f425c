import { expect, it } from "vitest";
import { fieldsOf, newer, readHistory } from "../src/reading";

it("reads a page of history without touching the payloads", () => {
  const text = '{"items":[{"device_id":"a","ts":1,"time":1000,"seq":7,"payload":{"t": 1.10}}],"cursor":"c"}';
  expect(readHistory(text, "a")).toEqual({ items: [{ device: "a", time: 1000, seq: 7, payload: '{"t": 1.10}' }], cursor: "c" });
  expect(readHistory('{"items":[]}', "a")).toEqual({ items: [], cursor: undefined });
});

it("shows what was measured, nested names dotted, and leaves out who and when", () => {
  const fields = fieldsOf('{"device_id":"a","ts":1,"t":1.10,"in":{"ts":2,"v":"on"},"list":[1,2.0]}');
  expect(fields.map(({ name, text }) => [name, text])).toEqual([
    ["t", "1.10"],
    ["in.ts", "2"],
    ["in.v", "on"],
    ["list", "[1,2.0]"],
  ]);
  expect(fields[0]!.number).toBe(1.1);
  expect(fields[2]!.number).toBeUndefined();
});

it("shows payloads that are no object as one value", () => {
  expect(fieldsOf("3.50")).toEqual([{ name: "value", text: "3.50", number: 3.5 }]);
  expect(fieldsOf("oops")).toEqual([{ name: "value", text: "oops", number: undefined }]);
});

it("orders by time, and at equal time by arrival", () => {
  const at = (time: number, seq: number) => ({ device: "a", time, seq, payload: "{}" });
  expect(newer(at(2, 1), at(1, 9))).toBe(true);
  expect(newer(at(1, 9), at(2, 1))).toBe(false);
  expect(newer(at(1, 2), at(1, 1))).toBe(true);
  expect(newer(at(1, 1), at(1, 1))).toBe(false);
});
