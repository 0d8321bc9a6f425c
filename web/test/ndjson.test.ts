import { describe, expect, it } from "vitest";
import { LineReader } from "../src/ndjson";

const encode = (text: string) => new TextEncoder().encode(text);

describe("lines come whole, wherever the chunks are cut", () => {
  const lines = ['{"a":"Ü☂"}', "{}", '{"b":"𝄞 line\\n"}'];
  const bytes = encode(lines.join("\n") + "\n");
  it.each([1, 2, 3, 5, 7, bytes.length])("after every %d bytes", (size) => {
    const reader = new LineReader();
    const found: string[] = [];
    for (let at = 0; at < bytes.length; at += size) found.push(...reader.push(bytes.slice(at, at + size)));
    expect(found).toEqual(lines);
  });
});

it("a line without its end is not told", () => {
  const reader = new LineReader();
  expect(reader.push(encode('{"a":1}\n{"b"'))).toEqual(['{"a":1}']);
  expect(reader.push(encode(":2}"))).toEqual([]);
  expect(reader.push(encode("\r\n\n"))).toEqual(['{"b":2}']);
});

it("does not collect a line for ever", () => {
  const reader = new LineReader();
  const chunk = encode("x".repeat(1 << 20));
  expect(() => {
    for (let n = 0; n < 10; n++) reader.push(chunk);
  }).toThrow("without an end");
});
