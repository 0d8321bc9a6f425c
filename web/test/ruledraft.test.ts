import { describe, expect, it } from "vitest";
import { actionsFault, errorActionFault, fieldOf, withTemplate } from "../src/ruledraft";

const ACTION = '{"lambda": {"functionArn": "x"}}';

describe("a list of actions", () => {
  it.each([`[${ACTION}]`, ` [ ${ACTION} , ${ACTION} ] `])("%s is right", (text) => {
    expect(actionsFault(text)).toBeUndefined();
  });
  it.each([
    ["", "at least one"],
    ["[]", "at least one"],
    [ACTION, "not JSON: expected an array"],
    [`[${ACTION}`, "not JSON"],
    ['["lambda"]', "Action 1 is not an object"],
    [`[${ACTION}, {"a":{}, "b":{}}]`, "Action 2 is not an object"],
  ])("%s is wrong", (text, why) => {
    expect(actionsFault(text)?.message).toContain(why);
  });
  it("says where it stops being JSON", () => {
    expect(actionsFault('[{"lambda" {}}]')?.at).toBe(11);
  });
});

it("an error action is one object, or none", () => {
  expect(errorActionFault(" ")).toBeUndefined();
  expect(errorActionFault(ACTION)).toBeUndefined();
  expect(errorActionFault(`[${ACTION}]`)?.at).toBe(0);
  expect(errorActionFault("{}")?.message).toContain("one member");
});

it("a template is added to what is there, whose digits stay", () => {
  const first = withTemplate("", { sqs: { useBase64: false } })!;
  expect(JSON.parse(first)).toEqual([{ sqs: { useBase64: false } }]);
  const second = withTemplate('[{"http":{"n":1.10}}]', { lambda: {} })!;
  expect(second).toContain("1.10");
  expect(JSON.parse(second)).toEqual([{ http: { n: 1.1 } }, { lambda: {} }]);
  expect(withTemplate("[", {})).toBeUndefined();
});

it.each([
  [409, 'already exists rule "R": already exists', "name"],
  [400, 'invalid ruleName "no-dash": a rule\'s name is made of…', "name"],
  [400, "a template of an action is wrong at 3: expected…", "actions"],
  [400, 'not supported action "sns"', "actions"],
  [400, "the rule names what is not there function x", "actions"],
  [400, "not supported error action: sns", "errorAction"],
  [400, "the statement does not parse", "statement"],
  [503, "overloaded", "form"],
] as const)("a refusal of %d “%s” belongs to %s", (status, words, field) => {
  expect(fieldOf(status, words)).toBe(field);
});
