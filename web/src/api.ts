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
}

export interface Rule {
  readonly name: string;
  readonly sql: string;
  readonly enabled: boolean;
  readonly permission: boolean;
  readonly actions: readonly string[];
  readonly matched: number;
  readonly fired: number;
  readonly failed: number;
  readonly lastError: string;
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

/** A request that did not succeed. status is 0 when the server did not answer at all. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly title: string,
    readonly detail: string,
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

export async function rules(): Promise<Rule[]> {
  return JSON.parse(await get("/api/rules")) as Rule[];
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

async function ask(path: string, init: RequestInit, timeout = TIMEOUT): Promise<string> {
  let answer: Response;
  let text: string;
  try {
    answer = await fetch(path, { ...init, signal: AbortSignal.timeout(timeout) });
    text = await answer.text();
  } catch (cause) {
    const slow = cause instanceof DOMException && cause.name === "TimeoutError";
    throw new ApiError(0, slow ? "The server did not answer in time" : "The server cannot be reached", "");
  }
  if (!answer.ok) throw problem(answer, text);
  return text;
}

function problem(answer: Response, text: string): ApiError {
  try {
    const told = JSON.parse(text) as { title?: string; detail?: string };
    return new ApiError(answer.status, told.title ?? answer.statusText, told.detail ?? "");
  } catch {
    return new ApiError(answer.status, `The server answered ${answer.status} ${answer.statusText}`.trim(), "");
  }
}
