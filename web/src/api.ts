// The gateway's HTTP API, typed. Payloads stay text (see json.ts).

import { learn } from "./clock";
import { elements, members, unquote } from "./json";
import { type Reading, readHistory, readingFrom } from "./reading";

export interface Session {
  readonly operator: boolean;
  readonly csrf?: string;
  readonly version: string;
  readonly region: string;
  readonly account: string;
  readonly device: { readonly host: string; readonly port: string };
  readonly gateway: string;
  readonly now: number;
  readonly rule: string;
  readonly topic: string;
}

export interface Certificate {
  readonly id: string;
  readonly status: string;
  readonly notAfter: number;
}

export interface DeviceInfo {
  readonly name: string;
  readonly thing: boolean;
  readonly online: boolean;
  readonly since: number | null;
  readonly source: string | null;
  readonly certificates: readonly Certificate[];
  readonly last: Reading | undefined;
  /** Only told for a single device. */
  readonly policies?: readonly string[];
  readonly topic?: string;
}

export interface Presence {
  readonly online: Readonly<Record<string, { readonly since: number; readonly source: string }>>;
  readonly connections: number;
  readonly lastSeq: number;
  /** How many there are; undefined when the server does not tell. */
  readonly deadLetters?: number;
}

export interface Connection {
  readonly connectionId: string;
  readonly connectedAt: string;
  readonly sourceIp?: string;
  readonly userAgent?: string;
}

export interface NewThing {
  readonly thingName: string;
  readonly certificateId: string;
  readonly policy: string;
  readonly files: Readonly<Record<string, string>>;
  readonly command: string;
}

/** Where a statement or template stopped making sense. */
export interface SyntaxFault {
  readonly message: string;
  /** In bytes. */
  readonly offset: number;
  readonly want: string;
  readonly found: string;
}

/** A request that did not succeed. status is 0 when the server did not answer at all. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly title: string,
    readonly detail: string,
    /** Where a statement or template stopped making sense, when that was it. */
    readonly syntax?: SyntaxFault,
  ) {
    super(detail ? `${title}: ${detail}` : title);
  }
}

const TIMEOUT = 10_000;

export async function session(): Promise<Session> {
  const asked = Date.now();
  const found = JSON.parse(await get("/api/session")) as Session;
  learn(found.now, asked, Date.now());
  return found;
}

export async function presence(timeout: number): Promise<Presence> {
  return JSON.parse(await get("/api/presence", timeout)) as Presence;
}

export async function connections(): Promise<Connection[]> {
  return JSON.parse(await get("/api/connections")) as Connection[];
}

export async function device(name: string): Promise<DeviceInfo> {
  return deviceFrom(await get(`/api/devices/${encodeURIComponent(name)}`));
}

/** Hands every device to visit, page by page. */
export async function devices(visit: (page: DeviceInfo[], total: number) => void): Promise<void> {
  let cursor: string | undefined;
  do {
    const query = new URLSearchParams({ limit: "1000" });
    if (cursor) query.set("cursor", cursor);
    const page = members(await get(`/api/devices?${query}`));
    visit(elements(page.get("devices") ?? "[]").map(deviceFrom), Number(page.get("total") ?? 0));
    cursor = unquote(page.get("cursor"));
  } while (cursor);
}

/** The device's readings in [from, to), newest first, handed to visit page by page, at most `most` of them. Tells whether that was all. */
export async function history(
  name: string,
  range: { from: number; to?: number; most: number },
  visit: (page: Reading[]) => void,
  cancelled: () => boolean = () => false,
): Promise<boolean> {
  let cursor: string | undefined;
  let left = range.most;
  do {
    const query = new URLSearchParams({ device_id: name, from: String(Math.floor(range.from)), order: "desc" });
    query.set("limit", String(Math.min(1000, left)));
    if (range.to !== undefined) query.set("to", String(Math.ceil(range.to)));
    if (cursor) query.set("cursor", cursor);
    const page = readHistory(await get(`/prod/iotdata?${query}`), name);
    if (cancelled()) return false;
    visit(page.items);
    left -= page.items.length;
    cursor = page.items.length ? page.cursor : undefined;
  } while (cursor && left > 0);
  return cursor === undefined;
}

export async function createThing(thingName: string, csrf: string): Promise<NewThing> {
  const answer = await ask("/api/things", {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-CSRF-Token": csrf },
    body: JSON.stringify({ thingName }),
  });
  return JSON.parse(answer) as NewThing;
}

export async function logout(csrf: string): Promise<void> {
  await ask("/api/logout", { method: "POST", headers: { "X-CSRF-Token": csrf } });
}

function deviceFrom(text: string): DeviceInfo {
  const info = JSON.parse(text) as DeviceInfo;
  const last = members(text).get("last");
  return { ...info, last: last?.[0] === "{" ? readingFrom(members(last), info.name) : undefined };
}

function get(path: string, timeout?: number): Promise<string> {
  return ask(path, {}, timeout);
}

/** Makes a request and returns the text of its answer. The error is an [ApiError]. */
export async function ask(path: string, init: RequestInit, timeout = TIMEOUT): Promise<string> {
  const signals = [AbortSignal.timeout(timeout), ...(init.signal ? [init.signal] : [])];
  let answer: Response;
  let text: string;
  try {
    answer = await fetch(path, { ...init, signal: AbortSignal.any(signals) });
    text = await answer.text();
  } catch (cause) {
    throw unanswered(cause);
  }
  if (!answer.ok) throw problem(answer, text);
  return text;
}

/** Makes a request whose answer does not end, and returns its body. */
export async function open(path: string, signal: AbortSignal): Promise<AsyncIterable<Uint8Array>> {
  let answer: Response;
  try {
    answer = await fetch(path, { signal });
  } catch (cause) {
    throw unanswered(cause);
  }
  if (!answer.ok) throw problem(answer, await answer.text());
  return chunks(answer.body!);
}

/** Not every browser lets a stream be iterated. */
async function* chunks(body: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
  const reader = body.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    reader.releaseLock();
  }
}

function unanswered(cause: unknown): ApiError {
  const slow = cause instanceof DOMException && cause.name === "TimeoutError";
  return new ApiError(0, slow ? "The server did not answer in time" : "The server cannot be reached", "");
}

function problem(answer: Response, text: string): ApiError {
  try {
    const told = JSON.parse(text) as { title?: string; detail?: string } & Partial<SyntaxFault>;
    const { message = "", offset, want = "", found = "" } = told;
    const syntax = offset === undefined ? undefined : { message, offset, want, found };
    return new ApiError(answer.status, told.title ?? answer.statusText, told.detail ?? message, syntax);
  } catch {
    return new ApiError(answer.status, `The server answered ${answer.status} ${answer.statusText}`.trim(), "");
  }
}
