import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { ApiError } from "../src/api";
import type { TraceLine } from "../src/trace";
import { TraceStream } from "../src/tracestream";

/** A server whose answers the test writes chunk by chunk. */
class Answers {
  opened = 0;
  #chunks: ReadableStreamDefaultController<Uint8Array> | undefined;
  refusal: ApiError | undefined;
  lines: TraceLine[] = [];
  gaps: number[] = [];
  at = 1000;
  stream = new TraceStream({
    open: async () => {
      this.opened++;
      if (this.refusal) throw this.refusal;
      const body = new ReadableStream<Uint8Array>({ start: (chunks) => void (this.#chunks = chunks) });
      return body as unknown as AsyncIterable<Uint8Array>;
    },
    now: () => this.at,
    random: () => 0,
    onLine: (line) => this.lines.push(line),
    onLost: (from, to) => this.gaps.push(from, to),
  });

  async write(text: string): Promise<void> {
    this.#chunks!.enqueue(new TextEncoder().encode(text));
    await vi.advanceTimersByTimeAsync(0);
  }
  async end(): Promise<void> {
    this.#chunks!.close();
    await vi.advanceTimersByTimeAsync(0);
  }
}

let answers: Answers;
beforeEach(async () => {
  vi.useFakeTimers();
  answers = new Answers();
  answers.stream.start();
  await vi.advanceTimersByTimeAsync(0);
});
afterEach(() => {
  answers.stream.stop();
  vi.useRealTimers();
});

it("is live with the first line, though it is empty", async () => {
  expect(answers.stream.state.get().kind).toBe("connecting");
  await answers.write("{}\n");
  expect(answers.stream.state.get().kind).toBe("live");
  await answers.write('{"dropped":3}\n{"dro');
  await answers.write('pped":4}\n');
  expect(answers.lines.map(({ dropped }) => dropped)).toEqual([undefined, 3, 4]);
});

it("connects again when it is lost, and tells between when nothing was heard", async () => {
  await answers.write("{}\n");
  answers.at = 2000;
  await answers.end();
  expect(answers.stream.state.get()).toEqual({ kind: "lost", since: 2000 });
  await vi.advanceTimersByTimeAsync(300);
  expect(answers.opened).toBe(2);
  answers.at = 5000;
  await answers.write("{}\n");
  expect(answers.stream.state.get().kind).toBe("live");
  expect(answers.gaps).toEqual([2000, 5000]);
});

it("takes garbage for a lost connection", async () => {
  await answers.write("{}\n<html>\n");
  expect(answers.stream.state.get().kind).toBe("lost");
});

it("does not go on asking when it is refused", async () => {
  answers.refusal = new ApiError(404, "no such rule", "");
  await answers.end();
  await vi.advanceTimersByTimeAsync(60_000);
  expect(answers.opened).toBe(2);
  expect(answers.stream.state.get().kind).toBe("refused");
  answers.refusal = undefined;
  answers.stream.retry();
  await vi.advanceTimersByTimeAsync(0);
  await answers.write("{}\n");
  expect(answers.stream.state.get().kind).toBe("live");
});

it("goes on asking a busy server, and says what it said", async () => {
  answers.refusal = new ApiError(503, "busy", "close a page");
  await answers.end();
  await vi.advanceTimersByTimeAsync(300);
  expect(answers.stream.state.get()).toEqual({ kind: "lost", since: 1000, error: answers.refusal });
  answers.refusal = undefined;
  await vi.advanceTimersByTimeAsync(600);
  await answers.write("{}\n");
  expect(answers.stream.state.get().kind).toBe("live");
});

it("gives up an answer that never begins", async () => {
  await vi.advanceTimersByTimeAsync(10_001);
  expect(answers.stream.state.get().kind).toBe("lost");
});

it("asks no more once stopped", async () => {
  await answers.write("{}\n");
  answers.stream.stop();
  await vi.advanceTimersByTimeAsync(60_000);
  expect(answers.opened).toBe(1);
});
