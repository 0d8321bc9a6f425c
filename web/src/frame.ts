// Work that touches the page is done once a frame, however many readings came.

import type { Dispose } from "./signal";

/** Returns a function that asks for `work` in the next frame; asking again before it runs changes nothing. */
export function perFrame(work: () => void): { ask: () => void; cancel: Dispose } {
  let pending = 0;
  return {
    ask() {
      if (pending) return;
      pending = requestAnimationFrame(() => {
        pending = 0;
        work();
      });
    },
    cancel() {
      cancelAnimationFrame(pending);
      pending = 0;
    },
  };
}
