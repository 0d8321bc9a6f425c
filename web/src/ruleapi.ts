// The part of the API that is about rules: what they are, what they made of
// messages, trying statements, and what could not be done.

import { ask, open } from "./api";
import type { MessageTrace, RuleTrace } from "./trace";

export interface Rule {
  readonly name: string;
  readonly sql: string;
  readonly enabled: boolean;
  readonly permission: boolean;
  /** It was stored by an earlier version and does not compile: lastError says why. */
  readonly broken?: boolean;
  readonly actions: readonly string[];
  readonly matched: number;
  readonly fired: number;
  readonly failed: number;
  readonly lastError: string;
}

/** A rule in AWS's shape. */
export interface RuleDefinition {
  readonly ruleName: string;
  readonly sql: string;
  readonly awsIotSqlVersion: string;
  readonly description: string;
  readonly ruleDisabled: boolean;
  readonly actions: readonly unknown[];
  readonly errorAction?: unknown;
}

export interface Trial {
  readonly sql: string;
  readonly sqlVersion: string;
}

/** A message to try a statement on. */
export interface TrialMessage {
  readonly topic: string;
  readonly clientId: string;
  readonly payload?: string;
  /** The payload in base64, when it is not text. */
  readonly binary?: string;
}

export interface TappedMessage {
  readonly topic: string;
  readonly payload?: string;
  readonly binary?: string;
  readonly clientId?: string;
  readonly arrived: string;
}

export interface ReplayQuery extends Trial {
  readonly device: string;
  readonly topic: string;
  readonly from: number;
  readonly to: number;
}

export interface Replay {
  readonly summary: { readonly evaluated: number; readonly fired: number; readonly failed: number; readonly more?: boolean };
  readonly first: readonly MessageTrace[];
}

export interface DeadLetter {
  readonly id: number;
  readonly at: string;
  readonly reason: string;
  readonly rule?: string;
  readonly action?: string;
  readonly topic: string;
  readonly origin: string;
  /** The outbox that the entry was in; none for a message that was refused. */
  readonly outbox?: string;
  readonly key?: string;
  /** base64; lists leave large ones out. */
  readonly body?: string;
}

/** The payload, in base64, of the message that the body of an outbox entry names. */
export function taskPayload(body: string | undefined): string | undefined {
  try {
    const { message } = JSON.parse(body ?? "") as { message?: { Payload?: unknown } };
    return typeof message?.Payload === "string" ? message.Payload : undefined;
  } catch {
    return undefined; // an entry of another kind
  }
}

/** Replaying reads much. */
const REPLAY_TIMEOUT = 120_000;

const RULES = "/api/rules";
const LETTERS = "/api/dead-letters";

export async function rules(): Promise<Rule[]> {
  return JSON.parse(await ask(RULES, {})) as Rule[];
}

export async function definition(name: string): Promise<RuleDefinition> {
  return JSON.parse(await ask(`${RULES}/${encodeURIComponent(name)}`, {})) as RuleDefinition;
}

export async function createRule(rule: RuleDefinition, csrf: string): Promise<void> {
  await ask(RULES, changing("POST", csrf, rule));
}

/** Replaces a rule's statement, description, actions and error action. */
export async function changeRule(rule: RuleDefinition, csrf: string): Promise<void> {
  await ask(`${RULES}/${encodeURIComponent(rule.ruleName)}`, changing("PATCH", csrf, rule));
}

export async function deleteRule(name: string, csrf: string): Promise<void> {
  await ask(`${RULES}/${encodeURIComponent(name)}`, changing("DELETE", csrf));
}

export async function enableRule(name: string, enabled: boolean, csrf: string): Promise<void> {
  await ask(`${RULES}/${encodeURIComponent(name)}/${enabled ? "enable" : "disable"}`, changing("POST", csrf));
}

/** Follows what one rule makes of messages, as JSON lines. */
export function trace(rule: string, signal: AbortSignal): Promise<AsyncIterable<Uint8Array>> {
  return open(`/api/trace?${new URLSearchParams({ rule })}`, signal);
}

/** The last messages of a topic filter, newest first. */
export async function lastMessages(filter: string, last: number, signal: AbortSignal): Promise<TappedMessage[]> {
  return JSON.parse(await ask(`/api/messages?${new URLSearchParams({ filter, last: String(last) })}`, { signal })) as TappedMessage[];
}

export async function tryOn(trial: Trial, message: TrialMessage, signal: AbortSignal): Promise<RuleTrace> {
  return JSON.parse(await ask("/api/sql", looking({ ...trial, message }, signal))) as RuleTrace;
}

/** What a statement makes of the last messages of its FROM, newest first. */
export async function tryOnLast(trial: Trial, limit: number, signal: AbortSignal): Promise<MessageTrace[]> {
  return JSON.parse(await ask("/api/sql/recent", looking({ ...trial, limit }, signal))) as MessageTrace[];
}

export async function replay(query: ReplayQuery, signal: AbortSignal): Promise<Replay> {
  return JSON.parse(await ask("/api/sql/replay", looking(query, signal), REPLAY_TIMEOUT)) as Replay;
}

export async function deadLetter(id: number): Promise<DeadLetter> {
  return JSON.parse(await ask(`${LETTERS}/${id}`, {})) as DeadLetter;
}

/** Dead letters after a number, oldest first. */
export async function deadLetters(after: number, limit: number): Promise<DeadLetter[]> {
  return JSON.parse(await ask(`${LETTERS}?${new URLSearchParams({ after: String(after), limit: String(limit) })}`, {})) as DeadLetter[];
}

export async function retryLetter(id: number, csrf: string): Promise<void> {
  await ask(`${LETTERS}/${id}/retry`, changing("POST", csrf));
}

export async function dropLetter(id: number, csrf: string): Promise<void> {
  await ask(`${LETTERS}/${id}`, changing("DELETE", csrf));
}

function looking(body: unknown, signal: AbortSignal): RequestInit {
  return { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body), signal };
}

function changing(method: string, csrf: string, body?: unknown): RequestInit {
  if (body === undefined) return { method, headers: { "X-CSRF-Token": csrf } };
  return { method, headers: { "Content-Type": "application/json", "X-CSRF-Token": csrf }, body: JSON.stringify(body) };
}
