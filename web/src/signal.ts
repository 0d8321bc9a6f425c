// A value that tells when it changes, and the scope that forgets listeners.

export type Dispose = () => void;

export interface Signal<T> {
  get(): T;
  /** Stores and tells the listeners, unless it is the value held already. */
  set(value: T): void;
  /** Calls fn at each change, not for the present value. */
  listen(fn: (value: T) => void): Dispose;
}

export function signal<T>(initial: T): Signal<T> {
  let value = initial;
  const listeners = new Set<(value: T) => void>();
  return {
    get: () => value,
    set(next) {
      if (Object.is(next, value)) return;
      value = next;
      for (const fn of [...listeners]) fn(next);
    },
    listen(fn) {
      listeners.add(fn);
      return () => listeners.delete(fn);
    },
  };
}

/** Collects what a page must undo when it is left. */
export class Scope {
  #undo: Dispose[] = [];
  #closed = false;

  /** True once the page has been left: late answers are dropped. */
  get closed(): boolean {
    return this.#closed;
  }

  add(undo: Dispose): void {
    if (this.#closed) undo();
    else this.#undo.push(undo);
  }

  /** Calls fn now and at each change of the signal. */
  watch<T>(source: Signal<T>, fn: (value: T) => void): void {
    fn(source.get());
    this.add(source.listen(fn));
  }

  /** Calls fn every ms milliseconds. */
  every(ms: number, fn: () => void): void {
    const id = setInterval(fn, ms);
    this.add(() => clearInterval(id));
  }

  /** Listens to a DOM event. */
  on<E extends Event>(target: EventTarget, type: string, fn: (event: E) => void): void {
    const listener = fn as (event: Event) => void;
    target.addEventListener(type, listener);
    this.add(() => target.removeEventListener(type, listener));
  }

  close(): void {
    this.#closed = true;
    for (const undo of this.#undo.splice(0).reverse()) undo();
  }
}
