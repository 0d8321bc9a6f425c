import type { Context } from "../context";
import { fill, h } from "../dom";
import { asApiError } from "../feed";
import { failure } from "../parts";
import { SECOND } from "../time";

const EVERY = 3 * SECOND;

/** Fetches now and every three seconds, and shows what came when it changed, or what failed. Returns a function that fetches at once. */
export function polled<T>(context: Context, what: string, fetch: () => Promise<T>, show: (place: HTMLElement, found: T) => void): () => void {
  const { main, scope } = context;
  const place = h("div", { class: "polled", "aria-busy": "true" }, h("p", { class: "muted" }, "Loading…"));
  main.append(place);
  let shown = "";
  let timer: ReturnType<typeof setTimeout> | undefined;
  scope.add(() => clearTimeout(timer));
  void load();
  return () => void load();

  async function load(): Promise<void> {
    clearTimeout(timer);
    try {
      const found = await fetch();
      if (!scope.closed) change(JSON.stringify(found), () => show(place, found));
    } catch (cause) {
      const error = asApiError(cause);
      // What was loaded before stays on the page: the bar at the top says that it is old.
      if (!scope.closed && !(shown && error.status === 0)) change(`failed ${error.message}`, () => fill(place, failure(what, error, () => void load())));
    }
    clearTimeout(timer); // another may have been asked for meanwhile
    if (!scope.closed) timer = setTimeout(() => void load(), EVERY);
  }

  function change(key: string, draw: () => void): void {
    place.removeAttribute("aria-busy");
    if (key === shown) return;
    shown = key;
    draw();
  }
}
