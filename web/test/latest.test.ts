import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { debounced, Latest } from "../src/latest";
import { Scope } from "../src/signal";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

it("works once typing has stopped", () => {
  const work = vi.fn();
  const scope = new Scope();
  const typed = debounced(scope, 300, work);
  typed();
  vi.advanceTimersByTime(299);
  typed();
  vi.advanceTimersByTime(299);
  expect(work).not.toHaveBeenCalled();
  vi.advanceTimersByTime(1);
  expect(work).toHaveBeenCalledTimes(1);
  typed();
  scope.close();
  vi.advanceTimersByTime(1000);
  expect(work).toHaveBeenCalledTimes(1);
});

it("the latest answer wins, whichever comes first", async () => {
  const latest = new Latest();
  const told: string[] = [];
  const answers: Array<(text: string) => void> = [];
  const signals: AbortSignal[] = [];
  const ask = () =>
    latest.ask(
      (signal) => new Promise<string>((answer) => (signals.push(signal), answers.push(answer))),
      (text) => told.push(text),
      () => told.push("failed"),
    );
  const both = [ask(), ask()];
  expect(latest.waits).toBe(true);
  answers[1]!("second");
  answers[0]!("first");
  await Promise.all(both);
  expect(told).toEqual(["second"]);
  expect(signals.map(({ aborted }) => aborted)).toEqual([true, false]);
  expect(latest.waits).toBe(false);
});

it("a failure is told, unless it was given up", async () => {
  const latest = new Latest();
  const failed = vi.fn();
  await latest.ask(() => Promise.reject(new Error("x")), vi.fn(), failed);
  expect(failed).toHaveBeenCalledTimes(1);
  const given = latest.ask((signal) => new Promise((_, reject) => signal.addEventListener("abort", () => reject(new Error("aborted")))), vi.fn(), failed);
  latest.stop();
  await given;
  expect(failed).toHaveBeenCalledTimes(1);
});
