import { describe, expect, it } from "vitest";
import { decidingPath, hasNoFields, isLiteral, outcomeOf, outcomeWords, reasonOf, type RuleTrace, type TracePart, treeOf } from "../src/trace";

const rule = (more: Partial<RuleTrace>): RuleTrace => ({ rule: "R", sql: "", fired: false, took: 0, ...more });
const bytes = (text: string) => new TextEncoder().encode(text).length;

/** Parts of a statement: [depth, text, value], found in the whole by their text. */
function parts(...list: Array<readonly [number, string, string]>): TracePart[] {
  const whole = list[0]![1];
  return list.map(([depth, text, value]) => ({ depth, text, value, offset: 20 + bytes(whole.slice(0, whole.indexOf(text))) }));
}

it("parts become a tree", () => {
  const [root, ...others] = treeOf(parts([0, "a > 1 AND b", "false"], [1, "a > 1", "true"], [2, "a", "2"], [1, "b", "false"]));
  expect(others).toEqual([]);
  expect(root!.parts.map(({ part }) => part.text)).toEqual(["a > 1", "b"]);
  expect(root!.parts[0]!.parts.map(({ part }) => part.text)).toEqual(["a"]);
});

describe("why a rule did not fire", () => {
  const because = (...list: Array<readonly [number, string, string]>) => reasonOf(rule({ where: parts(...list) }));

  it("names the comparison and its values", () => {
    expect(because([0, "temperature > 30", "false"], [1, "temperature", "21.50"], [1, "30", "30"])).toBe("temperature > 30 is false (temperature is 21.50)");
  });
  it("of AND, the first that does not hold", () => {
    expect(because([0, "ü = 'é' AND b > 2", "false"], [1, "ü = 'é'", "true"], [2, "ü", '"é"'], [1, "b > 2", "Undefined"], [2, "b", "Undefined"])).toBe("b > 2 is Undefined (b is Undefined)");
  });
  it("goes through parentheses", () => {
    expect(because([0, "(a = 1) AND (b = 2)", "false"], [1, "a = 1", "true"], [1, "b = 2", "false"], [2, "b", "3"])).toBe("b = 2 is false (b is 3)");
  });
  it("of OR, all of it", () => {
    expect(because([0, "a OR b", "false"], [1, "a", "false"], [1, "b", "false"])).toBe("a OR b is false (a is false, b is false)");
  });
  it("of OR, what is Undefined, whatever the rest is", () => {
    expect(because([0, "a OR b = 1", "Undefined"], [1, "a", "true"], [1, "b = 1", "Undefined"], [2, "b", "Undefined"])).toBe("b = 1 is Undefined (b is Undefined)");
  });
  it("does not take BETWEEN's AND for a joint", () => {
    expect(because([0, "t BETWEEN 1 AND 2", "false"], [1, "t", "3"], [1, "1", "1"], [1, "2", "2"])).toBe("t BETWEEN 1 AND 2 is false (t is 3)");
  });
  it("of NOT, the whole", () => {
    expect(because([0, "NOT isNull(x)", "false"], [1, "isNull(x)", "true"], [2, "x", "null"])).toBe("NOT isNull(x) is false (isNull(x) is true)");
  });
  it("says when the value is no truth at all", () => {
    expect(because([0, "temperature", "5"])).toBe("temperature is 5, not true");
  });
  it("says nothing without a WHERE", () => {
    expect(reasonOf(rule({}))).toBe("");
  });
});

it.each([
  ["a rule that fired", rule({ fired: true }), "fired", "fired"],
  ["a disabled rule", rule({ disabled: true }), "silent", "disabled"],
  ["one whose action is under way", rule({ fired: true, actions: [{ action: "SqsAction", target: "q", state: "queued" }] }), "waiting", "fired, under way"],
  ["one whose action is tried again", rule({ fired: true, actions: [{ action: "SqsAction", target: "q", state: "retrying" }] }), "waiting", "fired, retrying"],
  ["one whose action is dead", rule({ fired: true, actions: [{ action: "SqsAction", target: "q", state: "dead" }] }), "failed", "fired, action failed"],
  ["one that calls out", rule({ later: true }), "waiting", "evaluated later"],
  ["a statement that failed", rule({ error: "x" }), "failed", "failed"],
] as const)("%s", (_, trace, outcome, words) => {
  expect([outcomeOf(trace), outcomeWords(trace)]).toEqual([outcome, words]);
});

it("the path to what decided is empty when WHERE holds", () => {
  expect(decidingPath(treeOf(parts([0, "a OR b", "true"], [1, "a", "false"], [1, "b", "true"]))[0])).toEqual([]);
  const failing = treeOf(parts([0, "a AND b > 1", "false"], [1, "a", "true"], [1, "b > 1", "false"], [2, "b", "0"]));
  expect(decidingPath(failing[0]).map(({ part }) => part.text)).toEqual(["a AND b > 1", "b > 1"]);
});

it.each([
  ["30", "30", true],
  ["'it''s'", '"it\'s"', true],
  ["temperature", "30", false],
  ["'a' = 'b'", "false", false],
])("whether %s, which is %s, is a literal: %s", (text, value, literal) => {
  expect(isLiteral({ part: { text, value, offset: 0, depth: 0 }, parts: [] })).toBe(literal);
});

it.each([
  ["text under a WHERE that is Undefined", { text: "broken" }, "Undefined", true],
  ["bytes under a WHERE that is Undefined", { binary: "/w==" }, "Undefined", true],
  ["JSON under a WHERE that is Undefined", { text: "{}" }, "Undefined", false],
  ["text under a WHERE that is false", { text: "broken" }, "false", false],
  ["the beginning of a long payload", { text: '{"a":', truncated: 9 }, "Undefined", false],
])("whether fields are missing of %s", (_, payload, value, missing) => {
  expect(hasNoFields(payload, rule({ where: parts([0, "a > 1", value]) }))).toBe(missing);
});
