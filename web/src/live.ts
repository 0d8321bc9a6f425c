// The live connection: one WebSocket to /prod, subscribed to every device from
// the last number seen. When it is lost it is opened again, later and later, and
// the server sends what was missed.

import { JsonError, members, toNumber } from "./json";
import { type Reading, readingFrom } from "./reading";
import { type Signal, signal } from "./signal";

export type LiveState =
  | { readonly kind: "connecting" }
  | { readonly kind: "live" }
  /** upTo: when the data on the page was last known to be complete; undefined if never. */
  | { readonly kind: "lost"; readonly upTo: number | undefined };

/** What is used of a WebSocket. */
export interface Socket {
  onopen: ((event: never) => void) | null;
  onmessage: ((event: { data: string }) => void) | null;
  onclose: ((event: never) => void) | null;
  send(text: string): void;
  close(): void;
}

export interface LiveConfig {
  readonly open: () => Socket;
  readonly now: () => number;
  /** In [0, 1): spreads the retries of many browsers. */
  readonly random: () => number;
  /** live: it is new, not something caught up on. */
  readonly onReading: (reading: Reading, live: boolean) => void;
  /** Readings that the connection can no longer give: fetch them from history. */
  readonly onGap: () => void;
}

const FIRST_WAIT = 500;
const LONGEST_WAIT = 15_000;
/** How long a connection may take to be in force. */
const OPENING = 10_000;

/** The wait before retry number n (from 0): doubling up to 15 s, of which the upper half is random. */
export function backoff(n: number, random: number): number {
  const whole = Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** Math.min(n, 10));
  return whole / 2 + (whole / 2) * random;
}

export class Live {
  readonly state: Signal<LiveState> = signal<LiveState>({ kind: "connecting" });
  #config: LiveConfig;
  #socket: Socket | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #failures = 0;
  #lastSeq = 0;
  #complete: number | undefined;
  #catchUp = 0;
  /** Whether the subscription of the present socket is in force. */
  #subscribed = false;
  /** Whether any reading has come since the page was opened. */
  #received = false;
  #polledSeq = 0;
  #framesAtPoll = 0;
  #frames = 0;

  constructor(config: LiveConfig) {
    this.#config = config;
  }

  /** The highest reading number seen. */
  get lastSeq(): number {
    return this.#lastSeq;
  }

  /** Connects. since: the number after which to begin; latest: the newest there is now. */
  start(since: number, latest: number): void {
    this.#lastSeq = since;
    this.#catchUp = latest;
    this.#connect();
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#drop();
  }

  /** Tries at once instead of waiting on. */
  retry(): void {
    if (this.state.get().kind !== "lost") return;
    this.#failures = 0;
    this.#connect();
  }

  /** Takes the server's newest number, polled now: proof that nothing is missing, or that the connection is stuck. */
  confirm(serverSeq: number): void {
    const stuck = this.#polledSeq > this.#lastSeq && this.#frames === this.#framesAtPoll;
    this.#polledSeq = serverSeq;
    this.#framesAtPoll = this.#frames;
    if (this.state.get().kind === "live") {
      if (stuck) this.fail();
      else if (serverSeq <= this.#lastSeq) this.#complete = this.#config.now();
    } else {
      this.#catchUp = Math.max(this.#catchUp, serverSeq);
    }
  }

  /** The server cannot be reached: what the connection shows is no longer live. */
  fail(): void {
    if (this.state.get().kind === "lost") return;
    this.#lost();
  }

  #connect(): void {
    clearTimeout(this.#timer);
    this.#drop();
    const socket = this.#config.open();
    this.#socket = socket;
    socket.onopen = () => socket.send(JSON.stringify({ action: "subscribe", device_id: "*", since: this.#lastSeq }));
    socket.onmessage = (event) => this.#receive(event.data);
    socket.onclose = () => this.#lost();
    this.#timer = setTimeout(() => this.#lost(), OPENING);
  }

  #receive(text: string): void {
    let frame: Map<string, string>;
    try {
      frame = members(text);
    } catch (cause) {
      if (cause instanceof JsonError) return;
      throw cause;
    }
    this.#frames++;
    if (!this.#subscribed) {
      // Until then bare payloads come, which may look like anything.
      if (frame.get("action") === '"subscribed"') this.#begin();
      return;
    }
    const reading = readingFrom(frame);
    if (reading) this.#take(reading);
    else if (frame.has("gap")) this.#gap(frame.get("gap")!);
  }

  #take(reading: Reading): void {
    this.#received = true;
    this.#complete = this.#config.now();
    this.#lastSeq = Math.max(this.#lastSeq, reading.seq);
    this.#config.onReading(reading, reading.seq > this.#catchUp);
  }

  #gap(raw: string): void {
    const to = toNumber(members(raw).get("to"));
    if (to !== undefined) this.#lastSeq = Math.max(this.#lastSeq, to);
    if (this.#received) this.#config.onGap();
  }

  #begin(): void {
    clearTimeout(this.#timer);
    this.#failures = 0;
    this.#subscribed = true;
    this.#complete = this.#config.now();
    this.state.set({ kind: "live" });
  }

  #lost(): void {
    clearTimeout(this.#timer);
    this.#drop();
    const before = this.state.get();
    if (before.kind !== "lost") this.state.set({ kind: "lost", upTo: this.#complete });
    this.#timer = setTimeout(() => this.#connect(), backoff(this.#failures++, this.#config.random()));
  }

  #drop(): void {
    const socket = this.#socket;
    this.#socket = undefined;
    this.#subscribed = false;
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
  }
}
