import { describe, expect, it } from "vitest";
import type { ActionState, ActionTrace, MessageTrace } from "../src/trace";
import { type Entry, TraceLog } from "../src/tracelog";

const message = (id: string, actions: ActionTrace[] = [], more = {}): MessageTrace => ({
  id,
  at: "2026-11-26T08:00:00Z",
  topic: "t",
  payload: { text: "{}" },
  rules: [{ rule: "R", sql: "", fired: true, took: 1, actions, ...more }],
});
const action = (state: ActionState, more: Partial<ActionTrace> = {}): ActionTrace => ({ action: "SqsAction", target: "q", state, ...more });
const line = (trace: string, state: ActionState, more: Partial<ActionTrace> = {}) => ({ action: action(state, { trace, rule: "R", ...more }) });
const ids = (entries: readonly Entry[]) => entries.map((entry) => (entry.kind === "message" ? entry.message.id : `${entry.why} ${entry.count}`));
const states = (log: TraceLog, n = 0) => {
  const entry = log.entries[n]!;
  return entry.kind === "message" ? entry.rule.actions?.map(({ state, attempt }) => (attempt ? `${state} ${attempt}` : state)) : undefined;
};

describe("what becomes of an action later", () => {
  it("is shown at its message", () => {
    const log = new TraceLog("R");
    log.take({ message: message("a", [action("queued")]) });
    log.take(line("a", "retrying", { attempt: 1, error: "refused" }));
    expect(states(log)).toEqual(["retrying 1"]);
    log.take(line("a", "dead", { attempt: 2 }));
    expect(states(log)).toEqual(["dead 2"]);
    log.take(line("a", "done", { attempt: 3 }));
    expect(states(log)).toEqual(["done 3"]);
  });

  it("goes to the first of two alike that is not finished", () => {
    const log = new TraceLog("R");
    log.take({ message: message("a", [action("queued"), action("queued"), action("queued", { target: "other" })]) });
    log.take(line("a", "done"));
    expect(states(log)).toEqual(["done", "queued", "queued"]);
    log.take(line("a", "dead"));
    expect(states(log)).toEqual(["done", "dead", "queued"]);
  });

  it("of an action and an error action alike is the right one's", () => {
    const log = new TraceLog("R");
    log.take({ message: message("a", [action("queued"), action("queued", { errorAction: true })]) });
    log.take(line("a", "done", { errorAction: true }));
    expect(states(log)).toEqual(["queued", "done"]);
  });

  it("adds an action that the message did not tell of", () => {
    const log = new TraceLog("R");
    log.take({ message: message("a", [action("dead")]) });
    log.take(line("a", "queued", { action: "RepublishAction", target: "errors" }));
    expect(states(log)).toEqual(["dead", "queued"]);
  });

  it("may come before its message", () => {
    const log = new TraceLog("R");
    log.take(line("a", "done"));
    log.take({ message: message("a", [action("queued")]) });
    expect(states(log)).toEqual(["done"]);
  });

  it("is not another rule's", () => {
    const log = new TraceLog("R");
    log.take({ message: message("a", [action("queued")]) });
    log.take(line("a", "done", { rule: "S" }));
    expect(states(log)).toEqual(["queued"]);
  });
});

it("a rule that was to be evaluated later is shown in the same row", () => {
  const log = new TraceLog("R");
  log.take({ message: message("a", [], { fired: false, later: true }) });
  log.take({ message: message("a", [action("queued")]) });
  expect(ids(log.entries)).toEqual(["a"]);
  expect(states(log)).toEqual(["queued"]);
});

it("leaves out messages that the rule is not told of", () => {
  const log = new TraceLog("other");
  log.take({ message: message("a") });
  expect(log.entries).toEqual([]);
});

describe("bounds", () => {
  const small = { entries: 3, size: 1 << 20 };

  it("the oldest go", () => {
    const log = new TraceLog("R", small);
    for (const id of "abcde") log.take({ message: message(id) });
    expect(ids(log.entries)).toEqual(["c", "d", "e"]);
    log.take(line("a", "done")); // of one that is gone: no harm
    expect(ids(log.entries)).toEqual(["c", "d", "e"]);
  });

  it("the size counts too, but the newest always stays", () => {
    const log = new TraceLog("R", { entries: 100, size: 10 });
    log.take({ message: message("a") });
    log.take({ message: { ...message("b"), payload: { text: "x".repeat(20) } } });
    expect(ids(log.entries)).toEqual(["b"]);
  });

  it("lines that the server left out are told where they are missing", () => {
    const log = new TraceLog("R");
    log.take({ message: message("a") });
    log.take({ dropped: 4, message: message("b") });
    log.take({ dropped: 2 });
    log.take({ dropped: 1 });
    expect(ids(log.entries)).toEqual(["a", "sampled 4", "b", "sampled 3"]);
    expect(log.dropped).toBe(7);
  });
});

describe("paused", () => {
  it("what is shown stands still, and nothing that comes is lost", () => {
    const log = new TraceLog("R");
    log.take({ message: message("a", [action("queued")]) });
    log.pause();
    log.take({ message: message("b") });
    log.take({ message: message("c") });
    log.take(line("a", "done"));
    expect(ids(log.entries)).toEqual(["a"]);
    expect(states(log)).toEqual(["done"]);
    expect(log.waiting).toBe(2);
    log.resume();
    expect(ids(log.entries)).toEqual(["a", "b", "c"]);
    expect(log.paused).toBe(false);
  });

  it("too many that come are dropped, oldest first, and it says how many", () => {
    const log = new TraceLog("R", { entries: 4, size: 1 << 20 });
    log.take({ message: message("a") });
    log.pause();
    for (const id of "bcdefgh") log.take({ message: message(id) });
    expect(ids(log.entries)).toEqual(["a"]);
    expect(log.waiting).toBeLessThanOrEqual(4);
    log.resume();
    const shown = ids(log.entries);
    const missing = log.entries.find((entry) => entry.kind === "gap");
    expect(shown.at(-1)).toBe("h");
    const messages = shown.filter((id) => id.length === 1 && id !== "a");
    expect(missing?.count).toBe(7 - messages.length);
  });
});
