// What the rules made of messages, as the server tells it.

/** A payload or output; a long one is cut off. text when it is UTF-8, binary (base64) otherwise. */
export interface Excerpt {
  readonly text?: string;
  readonly binary?: string;
  /** Bytes left out at the end. */
  readonly truncated?: number;
}

/** One expression of a statement with its value. */
export interface TracePart {
  readonly text: string;
  /** In bytes of the statement. */
  readonly offset: number;
  /** 0 is the whole; a part stands before its own parts. */
  readonly depth: number;
  /** JSON, or Undefined. */
  readonly value: string;
}

export type ActionState = "done" | "queued" | "failed" | "retrying" | "dead";

export interface ActionTrace {
  /** The message's, in a line that comes alone. */
  readonly trace?: string;
  readonly rule?: string;
  readonly action: string;
  readonly target: string;
  /** It is the rule's error action. */
  readonly errorAction?: boolean;
  readonly state: ActionState;
  readonly error?: string;
  readonly attempt?: number;
  /** Nanoseconds. */
  readonly took?: number;
}

export interface RuleTrace {
  readonly rule: string;
  readonly sql: string;
  readonly disabled?: boolean;
  /** It calls out, so it is evaluated from the outbox: its trace follows. */
  readonly later?: boolean;
  readonly fired: boolean;
  readonly variables?: readonly TracePart[];
  readonly where?: readonly TracePart[];
  readonly output?: Excerpt;
  /** The output is empty: SELECT VALUE of Undefined. */
  readonly undefined?: boolean;
  readonly error?: string;
  readonly actions?: readonly ActionTrace[];
  /** Nanoseconds. */
  readonly took: number;
}

export interface MessageTrace {
  readonly id: string;
  readonly at: string;
  readonly topic: string;
  readonly clientId?: string;
  readonly payload: Excerpt;
  readonly rules: readonly RuleTrace[];
}

/** One line of a live trace. The first is empty: the listener is in place. */
export interface TraceLine {
  readonly message?: MessageTrace;
  readonly action?: ActionTrace;
  /** Lines left out before this one: there were too many. */
  readonly dropped?: number;
}

/** A part with the parts that it is made of. */
export interface PartNode {
  readonly part: TracePart;
  readonly parts: PartNode[];
}

/** Makes a tree of parts told each before its own. */
export function treeOf(parts: readonly TracePart[]): PartNode[] {
  const roots: PartNode[] = [];
  const above: PartNode[] = [];
  for (const part of parts) {
    const node = { part, parts: [] };
    while (above.length && above.at(-1)!.part.depth >= part.depth) above.pop();
    (above.at(-1)?.parts ?? roots).push(node);
    above.push(node);
  }
  return roots;
}

/** How a rule fared with a message. waiting: part of it is still to be done. */
export type Outcome = "fired" | "waiting" | "silent" | "failed";

export function outcomeOf(rule: RuleTrace): Outcome {
  if (rule.error) return "failed";
  if (rule.later) return "waiting";
  if (!rule.fired) return "silent";
  const states = new Set(rule.actions?.map(({ state }) => state));
  if (states.has("failed") || states.has("dead")) return "failed";
  return states.has("retrying") || states.has("queued") ? "waiting" : "fired";
}

/** The outcome in a few words; of a trial, what it would be. */
export function outcomeWords(rule: RuleTrace, trial = false): string {
  if (trial) return rule.error ? "would fail" : rule.later ? "calls out" : rule.fired ? "would fire" : "would not fire";
  if (rule.error) return "failed";
  if (rule.later) return "evaluated later";
  if (rule.disabled) return "disabled";
  if (!rule.fired) return "did not fire";
  const count = (state: ActionState) => rule.actions?.filter((action) => action.state === state).length ?? 0;
  if (count("failed") + count("dead")) return "fired, action failed";
  if (count("retrying")) return "fired, retrying";
  return count("queued") ? "fired, under way" : "fired";
}

/** Why a rule did not fire or what went wrong, in one line; "" when there is nothing to say. */
export function reasonOf(rule: RuleTrace): string {
  if (rule.error) return rule.error;
  if (rule.disabled) return "the rule is disabled";
  if (rule.later) return "it calls out: it is evaluated from the outbox, and its trace follows";
  if (!rule.fired) return because(treeOf(rule.where ?? [])[0]);
  const trouble = rule.actions?.find(({ state }) => state === "failed" || state === "dead") ?? rule.actions?.find(({ state }) => state === "retrying");
  return trouble ? `${trouble.action}: ${trouble.error ?? trouble.state}` : "";
}

/** Whether a rule did not fire because the message has no fields for it to look at. */
export function hasNoFields(payload: Excerpt, { where }: RuleTrace): boolean {
  if (where?.[0]?.value !== "Undefined" || payload.truncated) return false;
  if (payload.text === undefined) return true;
  try {
    JSON.parse(payload.text);
    return false;
  } catch {
    return true;
  }
}

/** From the whole of WHERE down to the part that decided against it; empty when it is true. */
export function decidingPath(whole: PartNode | undefined): PartNode[] {
  const path: PartNode[] = [];
  for (let node = whole; node && node.part.value !== "true"; node = deciding(node)) path.push(node);
  return path;
}

/** Whether a part is its own value. */
export function isLiteral({ part: { text, value } }: PartNode): boolean {
  return text === value || /^'(?:[^']|'')*'$/.test(text);
}

/** The part of WHERE that decided, with the values that it had. */
function because(whole: PartNode | undefined): string {
  const node = decidingPath(whole).at(-1);
  if (!node) return "";
  const values = node.parts.filter((one) => !isLiteral(one)).map(({ part }) => `${part.text} is ${part.value}`);
  const { text, value } = node.part;
  const verdict = value === "false" || value === "Undefined" ? value : `${value}, not true`;
  return `${text} is ${verdict}${values.length ? ` (${values.join(", ")})` : ""}`;
}

/** The part of a part that made it so: of AND the first that does not hold; of OR, which takes all to be false, one that is Undefined, as it makes all of it so. */
function deciding(node: PartNode): PartNode | undefined {
  const joint = jointOf(node);
  const missing = node.parts.find(({ part }) => part.value === "Undefined");
  if (joint === "and") return node.parts.find(({ part }) => part.value !== "true");
  if (joint === "or") return node.part.value === "Undefined" ? missing : undefined;
  if (node.parts.some(({ part }) => part.value === "true")) return undefined;
  return missing?.parts.length ? missing : undefined;
}

/** What stands between the two parts of a part, in lower case. */
function jointOf({ part, parts }: PartNode): string {
  const [left, right] = parts;
  if (parts.length !== 2 || !left || !right) return "";
  const bytes = new TextEncoder().encode(part.text);
  const end = left.part.offset - part.offset + new TextEncoder().encode(left.part.text).length;
  return new TextDecoder().decode(bytes.slice(end, right.part.offset - part.offset)).replace(/[()\s]/g, "").toLowerCase();
}
