import { describe, expect, it } from "vitest";
import { filterOf, indexOfByte, placeOf, tokenEnd } from "../src/sqltext";

describe("byte offsets become UTF-16 indices", () => {
  const texts = ["SELECT *", "é FROM", "☂'x'", "𝄞 = '𝄞'", "a\ud800b", ""];
  it.each(texts)("%j, at every character", (text) => {
    let index = 0;
    for (const character of text) {
      const offset = new TextEncoder().encode(text.slice(0, index)).length;
      expect(indexOfByte(text, offset)).toBe(index);
      index += character.length;
    }
    expect(indexOfByte(text, new TextEncoder().encode(text).length)).toBe(text.length);
    expect(indexOfByte(text, 1e9)).toBe(text.length);
  });
  it("one within a character is the character's", () => {
    expect(indexOfByte("a𝄞b", 3)).toBe(1);
  });
});

it.each([
  ["SELEC * FROM", 0, "SELEC"],
  ["a = 'it''s' x", 4, "'it''s'"],
  ["a = 'open", 4, "'open"],
  ["a <> b", 2, "<>"],
  ["größe > 1", 0, "größe"],
  ["x 𝄞 y", 2, "𝄞"],
  ["a", 1, ""],
])("in %j the word at %d is %j", (text, index, word) => {
  expect(text.slice(index, tokenEnd(text, index))).toBe(word);
});

describe("places", () => {
  it("count lines and characters from one", () => {
    expect(placeOf("SELECT *\nFORM 'x'", 9)).toEqual({ line: 2, column: 1, text: "FORM 'x'", before: "" });
    expect(placeOf("𝄞é x", 4)).toEqual({ line: 1, column: 4, text: "𝄞é x", before: "𝄞é " });
    expect(placeOf("\nx", 0)).toEqual({ line: 1, column: 1, text: "", before: "" });
  });
  it("show only the surroundings of a place in a long line", () => {
    const { text, before, column } = placeOf(`${"a".repeat(500)}!${"b".repeat(500)}`, 500);
    expect(column).toBe(501);
    expect(before).toBe(`…${"a".repeat(48)}`);
    expect(text).toBe(`…${"a".repeat(48)}!${"b".repeat(47)}…`);
  });
});

it.each([
  ["SELECT * FROM 'sensor/data' WHERE a = 'FROM'", "sensor/data"],
  ["select x\nfrom 'a/''b'''", "a/'b'"],
  ['SELECT * FROM "a/+"', "a/+"],
  ["SELECT * FROM", undefined],
  ["SELECT * FROM ''", undefined],
])("FROM of %j", (sql, filter) => {
  expect(filterOf(sql)).toBe(filter);
});
