// The live trace as it comes: one request whose answer does not end. When it is
// lost it is made again, later and later; what was traced in between is not kept
// anywhere, so the page says between when it heard nothing.

import { ApiError } from "./api";
import { backoff } from "./live";
import { LineReader } from "./ndjson";
import { type Signal, signal } from "./signal";
import type { TraceLine } from "./trace";

export type StreamState =
  | { readonly kind: "connecting" }
  | { readonly kind: "live" }
  /** error: what the server answered, if it did. */
  | { readonly kind: "lost"; readonly since: number; readonly error?: ApiError }
  /** Trying again would not help. */
  | { readonly kind: "refused"; readonly error: ApiError };

export interface StreamConfig {
  readonly open: (signal: AbortSignal) => Promise<AsyncIterable<Uint8Array>>;
  readonly now: () => number;
  /** In [0, 1): spreads the retries of many browsers. */
  readonly random: () => number;
  readonly onLine: (line: TraceLine) => void;
  /** Nothing was heard between these moments. */
  readonly onLost: (from: number, to: number) => void;
}

/** How long a connection may take to be in force. */
const OPENING = 10_000;

export class TraceStream {
  readonly state: Signal<StreamState> = signal<StreamState>({ kind: "connecting" });
  #config: StreamConfig;
  #running: AbortController | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #failures = 0;

  constructor(config: StreamConfig) {
    this.#config = config;
  }

  start(): void {
    void this.#run();
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#running?.abort();
    this.#running = undefined;
  }

  /** Tries at once instead of waiting on. */
  retry(): void {
    const { kind } = this.state.get();
    if (kind !== "lost" && kind !== "refused") return;
    this.#failures = 0;
    void this.#run();
  }

  /** The server cannot be reached: what is shown is no longer live. */
  fail(): void {
    if (this.state.get().kind !== "lost") this.#lost();
  }

  async #run(): Promise<void> {
    this.stop();
    const own = new AbortController();
    this.#running = own;
    this.#timer = setTimeout(() => this.#running === own && this.#lost(), OPENING);
    let cause: unknown;
    try {
      await this.#read(await this.#config.open(own.signal), own);
    } catch (thrown) {
      cause = thrown;
    }
    if (this.#running !== own) return;
    if (cause instanceof ApiError && cause.status >= 400 && cause.status < 500 && cause.status !== 429) {
      this.stop();
      this.state.set({ kind: "refused", error: cause });
    } else this.#lost(cause instanceof ApiError && cause.status > 0 ? cause : undefined);
  }

  async #read(body: AsyncIterable<Uint8Array>, own: AbortController): Promise<void> {
    const reader = new LineReader();
    for await (const chunk of body) {
      for (const line of reader.push(chunk)) {
        if (this.#running !== own) return;
        this.#begin();
        this.#config.onLine(JSON.parse(line) as TraceLine);
      }
    }
  }

  #begin(): void {
    const before = this.state.get();
    if (before.kind === "live") return;
    clearTimeout(this.#timer);
    this.#failures = 0;
    if (before.kind === "lost") this.#config.onLost(before.since, this.#config.now());
    this.state.set({ kind: "live" });
  }

  #lost(error?: ApiError): void {
    this.stop();
    const before = this.state.get();
    const since = before.kind === "lost" ? before.since : this.#config.now();
    this.state.set({ kind: "lost", since, ...(error ? { error } : {}) });
    this.#timer = setTimeout(() => void this.#run(), backoff(this.#failures++, this.#config.random()));
  }
}
