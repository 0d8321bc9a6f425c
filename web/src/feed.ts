// Brings what the server knows into the fleet: the device list, presence every
// three seconds, and the live connection, each of which checks on the others.

import * as api from "./api";
import { now } from "./clock";
import { Live, type Socket } from "./live";
import { Rate } from "./rate";
import { type Signal, signal } from "./signal";
import { Fleet } from "./store";
import { MINUTE, SECOND } from "./time";

export type Loading = { readonly kind: "loading" } | { readonly kind: "ready" } | { readonly kind: "failed"; readonly error: api.ApiError };

const POLL = 3 * SECOND;
const POLL_TIMEOUT = 5 * SECOND;
/** Readings asked for at the start, so that trends and rhythms need not begin empty. */
const REPLAY = 2000;
const SMALL_FLEET = 2000;

export class Feed {
  readonly fleet = new Fleet();
  readonly rate = new Rate();
  readonly session: Signal<api.Session | undefined> = signal<api.Session | undefined>(undefined);
  /** How far the first load of the device list has come. */
  readonly loading: Signal<Loading> = signal<Loading>({ kind: "loading" });
  /** Counts the times that readings were missed which only history has. */
  readonly gaps: Signal<number> = signal(0);
  /** How many dead letters there are. */
  readonly deadLetters: Signal<number> = signal(0);
  readonly live: Live;
  #started = false;
  /** When the device list was last asked for and came whole; 0 before. */
  #listedAt = 0;
  #listing = false;

  constructor() {
    this.live = new Live({
      open: openSocket,
      now,
      random: Math.random,
      onReading: (reading, live) => {
        const at = now();
        if (live) this.rate.count(at);
        this.fleet.take(reading, live ? at : Math.min(reading.time, at));
      },
      onGap: () => {
        this.gaps.set(this.gaps.get() + 1);
        void this.list();
      },
    });
    let before = this.live.state.get().kind;
    this.live.state.listen(({ kind }) => {
      if (before === "lost" && kind === "live") void this.#regained();
      before = kind;
    });
  }

  /** Loads everything and goes on following it. */
  start(): void {
    void this.refreshSession();
    void this.#poll();
    addEventListener("online", () => this.live.retry());
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState === "visible") this.live.retry();
    });
  }

  /** Until when the shown readings are complete, once the connection is lost; undefined when there are none yet. */
  upTo(): number | undefined {
    const state = this.live.state.get();
    const known = Math.max(this.#listedAt, (state.kind === "lost" && state.upTo) || 0);
    return known || undefined;
  }

  /** The moment to judge devices by: now, or when the connection was lost. */
  asOf(): number {
    return this.live.state.get().kind === "lost" ? (this.upTo() ?? now()) : now();
  }

  async refreshSession(): Promise<void> {
    try {
      this.session.set(await api.session());
    } catch {
      // Without a session the page only looks; the poll below tells of a server that is away.
    }
  }

  /** Reads the whole device list again. */
  async list(): Promise<void> {
    if (this.#listing) return;
    this.#listing = true;
    const asked = now();
    try {
      const names = new Set<string>();
      const known = new Set(this.fleet.sorted().map((device) => device.name));
      await api.devices((page) => {
        for (const info of page) names.add(info.name);
        this.fleet.describe(page, now());
      });
      for (const device of this.fleet.sorted()) if (!known.has(device.name)) names.add(device.name);
      this.#listedAt = asked;
      this.fleet.keep(names);
      this.loading.set({ kind: "ready" });
    } catch (cause) {
      if (this.loading.get().kind !== "ready") this.loading.set({ kind: "failed", error: asApiError(cause) });
    } finally {
      this.#listing = false;
    }
  }

  async #poll(): Promise<void> {
    const seen = this.live.lastSeq;
    try {
      const found = await api.presence(POLL_TIMEOUT);
      if (this.#started && found.lastSeq < seen) location.reload(); // the server's data was replaced
      this.fleet.attend(found.online, now());
      this.deadLetters.set(found.deadLetters ?? 0);
      this.live.confirm(found.lastSeq);
      if (!this.#started) this.live.start(Math.max(0, found.lastSeq - REPLAY), found.lastSeq);
      this.#started = true;
      if (this.#due()) void this.list();
    } catch (cause) {
      const error = asApiError(cause);
      if (error.status === 0 && this.#started) this.live.fail();
      if (this.loading.get().kind !== "ready") this.loading.set({ kind: "failed", error });
    }
    setTimeout(() => void this.#poll(), POLL);
  }

  /** The list also changes without a reading: things are created and deleted elsewhere. */
  #due(): boolean {
    if (this.loading.get().kind !== "ready") return true;
    const every = this.fleet.size > SMALL_FLEET ? 10 * MINUTE : MINUTE / 2;
    return document.visibilityState === "visible" && now() - this.#listedAt > every;
  }

  async #regained(): Promise<void> {
    await Promise.all([this.refreshSession(), this.list()]);
  }
}

export function asApiError(cause: unknown): api.ApiError {
  if (cause instanceof api.ApiError) return cause;
  return new api.ApiError(-1, "The server's answer could not be read", cause instanceof Error ? cause.message : String(cause));
}

function openSocket(): Socket {
  const scheme = location.protocol === "https:" ? "wss:" : "ws:";
  return new WebSocket(`${scheme}//${location.host}/prod`) as Socket;
}
