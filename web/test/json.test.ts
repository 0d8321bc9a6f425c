import { describe, expect, it } from "vitest";
import { elements, JsonError, kindOf, members, toNumber, unquote } from "../src/json";

describe("numbers keep the digits that were sent", () => {
  it.each(["1.10", "0.0", "-0", "1e3", "12345678901234567890", "0.1000000000000000055511151231257827"])("%s", (text) => {
    expect(members(`{"v":${text}}`).get("v")).toBe(text);
  });
});

describe("members", () => {
  it("hands each value on as its own text, in the order sent", () => {
    const found = members(' { "b" : [1, 2.50] , "a":{"x": null},"c":"\\u00e9\\"}" } ');
    expect([...found]).toEqual([
      ["b", "[1, 2.50]"],
      ["a", '{"x": null}'],
      ["c", '"\\u00e9\\"}"'],
    ]);
  });

  it("treats __proto__ as a name like any other", () => {
    expect(members('{"__proto__":1}').get("__proto__")).toBe("1");
  });

  it("decodes escaped names and keeps the last of a repeated one", () => {
    expect([...members('{"\\u0061":1,"a":2}')]).toEqual([["a", "2"]]);
  });

  it("reads long strings", () => {
    const long = JSON.stringify('x\\"'.repeat(50_000));
    expect(members(`{"v":${long}}`).get("v")).toBe(long);
  });
});

describe("what is not JSON is refused", () => {
  it.each(["", "{", "[1]", '{"a"}', '{"a":}', '{"a":1,}', '{"a":01}', '{"a":1.}', '{"a":+1}', '{"a":.5}', '{"a":1} x', "{'a':1}", '{"a":"\n"}', '{"a":tru}', '{"a":"\\x"}'])(
    "%j",
    (text) => {
      expect(() => members(text)).toThrow(JsonError);
    },
  );

  it("says where", () => {
    expect(() => members('{"a":x}')).toThrow("expected a value at offset 5");
  });

  it("refuses depth that would exhaust the stack", () => {
    expect(() => elements("[".repeat(100_000))).toThrow("nested too deeply");
  });

  it("accepts exactly what JSON.parse accepts", () => {
    for (const text of ['{"a":[]}', '{"a":{}}', '{"a":-1.5E+3}', '{"a":-}', '{"a":1e}', '{"a":[1,]}', '{"a":nullx}', "{,}", '{"a":"\\ud800"}']) {
      let valid = true;
      try {
        JSON.parse(text);
      } catch {
        valid = false;
      }
      if (valid) expect(() => members(text)).not.toThrow();
      else expect(() => members(text)).toThrow(JsonError);
    }
  });
});

it("reads arrays", () => {
  expect(elements('[1.0, "a,b", [2], {}]')).toEqual(["1.0", '"a,b"', "[2]", "{}"]);
});

it("tells kinds, strings and numbers apart", () => {
  expect(["{}", "[]", '""', "true", "null", "-1"].map(kindOf)).toEqual(["object", "array", "string", "boolean", "null", "number"]);
  expect(unquote('"a\\nb"')).toBe("a\nb");
  expect(unquote("1")).toBeUndefined();
  expect(toNumber("2.50")).toBe(2.5);
  expect(toNumber('"2.5"')).toBeUndefined();
  expect(toNumber("1e999")).toBeUndefined();
});
