import { expect, it } from "vitest";
import { LONGEST_HASH, readState, writeState } from "../src/urlstate";

it.each([
  { sql: "SELECT * FROM 'a/#' WHERE x = '100%' AND y <> '&=#+'", version: "2016-03-23" },
  { sql: "SELECT 'Öl ☂ 𝄞'\nFROM 'x'", topic: "a b", client: "<b>", payload: '{"a":\n1.10}' },
  {},
])("what is written is read: %j", (state) => {
  const { hash, whole } = writeState(state);
  expect(whole).toBe(true);
  expect(readState(`#${hash}`)).toEqual(state);
});

it("leaves out the payload when the address would be too long, and says so", () => {
  const { hash, whole } = writeState({ sql: "SELECT * FROM 'x'", topic: "x", payload: "x".repeat(LONGEST_HASH) });
  expect(whole).toBe(false);
  expect(readState(hash)).toEqual({ sql: "SELECT * FROM 'x'", topic: "x" });
});

it("is bounded whatever the texts are", () => {
  const { hash, whole } = writeState({ sql: "☂".repeat(LONGEST_HASH), payload: "small" });
  expect(whole).toBe(false);
  expect(hash.length).toBeLessThanOrEqual(LONGEST_HASH);
  expect(readState(hash)).toEqual({ payload: "small" });
});

it("takes any hash", () => {
  expect(readState("#%E0%A4%A&sql=%zz&other=1")).toEqual({ sql: "%zz" });
  expect(readState("")).toEqual({});
});
