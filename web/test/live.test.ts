import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { backoff, Live, type Socket } from "../src/live";

class FakeSocket implements Socket {
  onopen: ((event: never) => void) | null = null;
  onmessage: ((event: { data: string }) => void) | null = null;
  onclose: ((event: never) => void) | null = null;
  sent: string[] = [];
  closed = false;
  send(text: string): void {
    this.sent.push(text);
  }
  close(): void {
    this.closed = true;
  }
  accept(): void {
    this.onopen?.(undefined as never);
    this.say('{"action":"subscribed","device_id":"*"}');
  }
  say(text: string): void {
    this.onmessage?.({ data: text });
  }
  frame(seq: number): void {
    this.say(`{"seq":${seq},"device_id":"a","time":${seq * 1000},"payload":{"v":1.10}}`);
  }
  drop(): void {
    this.onclose?.(undefined as never);
  }
}

const T = 1_800_000_000_000;
let sockets: FakeSocket[];
let seen: Array<[number, boolean]>;
let gaps: number;
let live: Live;
const last = () => sockets.at(-1)!;

beforeEach(() => {
  vi.useFakeTimers({ now: T });
  sockets = [];
  seen = [];
  gaps = 0;
  live = new Live({
    open: () => {
      const socket = new FakeSocket();
      sockets.push(socket);
      return socket;
    },
    now: () => Date.now(),
    random: () => 0.5,
    onReading: (reading, fresh) => seen.push([reading.seq, fresh]),
    onGap: () => gaps++,
  });
  live.start(10, 12);
});

afterEach(() => {
  live.stop();
  vi.useRealTimers();
});

describe("connecting", () => {
  it("subscribes from the number given and is live once that is in force", () => {
    expect(live.state.get().kind).toBe("connecting");
    last().accept();
    expect(JSON.parse(last().sent[0]!)).toEqual({ action: "subscribe", device_id: "*", since: 10 });
    expect(live.state.get().kind).toBe("live");
  });

  it("tells what is caught up on from what is new", () => {
    last().accept();
    for (const seq of [11, 12, 13]) last().frame(seq);
    expect(seen).toEqual([
      [11, false],
      [12, false],
      [13, true],
    ]);
  });

  it("takes nothing for a reading before the subscription is in force", () => {
    last().onopen?.(undefined as never);
    last().frame(9999);
    expect(seen).toEqual([]);
    expect(live.lastSeq).toBe(10);
  });

  it("ignores what it does not know and what is not JSON", () => {
    last().accept();
    last().say("hello");
    last().say('{"message":"Forbidden","connectionId":"x","requestId":"y"}');
    last().frame(13);
    expect(seen).toEqual([[13, true]]);
  });
});

describe("losing the connection", () => {
  it("says at once up to when the data is, and asks for what was missed", () => {
    last().accept();
    vi.setSystemTime(T + 5000);
    last().frame(20);
    vi.setSystemTime(T + 9000);
    last().drop();
    expect(live.state.get()).toEqual({ kind: "lost", upTo: T + 5000 });
    vi.advanceTimersByTime(500);
    expect(sockets).toHaveLength(2);
    last().accept();
    expect(JSON.parse(last().sent[0]!).since).toBe(20);
    expect(live.state.get().kind).toBe("live");
  });

  it("waits longer after each failure, and begins anew after a success", () => {
    last().accept();
    const waits: number[] = [];
    for (let i = 0; i < 8; i++) {
      const before = Date.now();
      const count = sockets.length;
      last().drop();
      while (sockets.length === count) vi.advanceTimersByTime(1);
      waits.push(Date.now() - before);
    }
    expect(waits).toEqual([375, 750, 1500, 3000, 6000, 11_250, 11_250, 11_250]);
    last().accept();
    last().drop();
    vi.advanceTimersByTime(375);
    expect(sockets).toHaveLength(10);
  });

  it("spreads the waits between half and the whole", () => {
    expect(backoff(0, 0)).toBe(250);
    expect(backoff(0, 1)).toBe(500);
    expect(backoff(99, 1)).toBe(15_000);
  });

  it("gives up an attempt that never gets in force", () => {
    vi.advanceTimersByTime(10_000);
    expect(live.state.get()).toEqual({ kind: "lost", upTo: undefined });
    expect(last().closed).toBe(true);
    vi.advanceTimersByTime(15_000);
    expect(sockets.length).toBeGreaterThan(1);
  });

  it("drops what an abandoned socket still says", () => {
    last().accept();
    const old = last();
    live.fail();
    old.frame(13);
    old.drop();
    expect(seen).toEqual([]);
    vi.advanceTimersByTime(500);
    expect(sockets).toHaveLength(2);
  });

  it("retries at once when asked", () => {
    last().accept();
    last().drop();
    live.retry();
    expect(sockets).toHaveLength(2);
    vi.advanceTimersByTime(5000);
    expect(sockets).toHaveLength(2);
  });
});

describe("checking against the server's newest number", () => {
  it("finds a connection that is open but stuck", () => {
    last().accept();
    last().frame(13);
    live.confirm(15);
    expect(live.state.get().kind).toBe("live");
    live.confirm(16);
    expect(live.state.get().kind).toBe("lost");
  });

  it("does not take slow catching up for that", () => {
    last().accept();
    live.confirm(5000);
    last().frame(13);
    live.confirm(5100);
    expect(live.state.get().kind).toBe("live");
  });

  it("an idle fleet is complete up to the last check", () => {
    last().accept();
    last().frame(13);
    vi.setSystemTime(T + 60_000);
    live.confirm(13);
    last().drop();
    expect(live.state.get()).toEqual({ kind: "lost", upTo: T + 60_000 });
  });
});

describe("gaps", () => {
  it("asks for history, and goes on behind the gap", () => {
    last().accept();
    last().frame(11);
    last().say('{"gap":{"from":12,"to":40}}');
    expect(gaps).toBe(1);
    expect(live.lastSeq).toBe(40);
  });

  it("one before the first data of the page is no loss", () => {
    last().accept();
    last().say('{"gap":{"from":11,"to":40}}');
    expect(gaps).toBe(0);
  });
});
