// Work that is asked for faster than it is done.

import type { Scope } from "./signal";

/** Returns a function that does work once it has not been called for ms milliseconds. */
export function debounced(scope: Scope, ms: number, work: () => void): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  scope.add(() => clearTimeout(timer));
  return () => {
    clearTimeout(timer);
    if (!scope.closed) timer = setTimeout(work, ms);
  };
}

/** Of requests that overtake each other only the latest is answered; earlier ones are given up. */
export class Latest {
  #running: AbortController | undefined;

  /** Whether a request waits for its answer. */
  get waits(): boolean {
    return this.#running !== undefined;
  }

  /** Starts a request. Its answer or failure goes to one of the two, unless another has started since. */
  async ask<T>(request: (signal: AbortSignal) => Promise<T>, answered: (found: T) => void, failed: (cause: unknown) => void): Promise<void> {
    this.stop();
    const own = new AbortController();
    this.#running = own;
    let tell: () => void;
    try {
      const found = await request(own.signal);
      tell = () => answered(found);
    } catch (cause) {
      tell = () => failed(cause);
    }
    if (own.signal.aborted) return;
    this.#running = undefined;
    tell();
  }

  stop(): void {
    this.#running?.abort();
    this.#running = undefined;
  }
}
