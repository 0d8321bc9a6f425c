// The live trace of one rule as a list: messages, what became of their actions
// later, and the places where something is missing. Paused, what is shown stands
// still while what comes is kept, within the same bounds.

import type { ActionTrace, MessageTrace, RuleTrace, TraceLine } from "./trace";

export interface Row {
  readonly kind: "message";
  /** Rises with each entry. */
  readonly n: number;
  readonly message: MessageTrace;
  rule: RuleTrace;
  /** Counts the changes of rule. */
  version: number;
}

/** Something is not in the list at this place. */
export interface Gap {
  readonly kind: "gap";
  readonly n: number;
  /** sampled: the server left lines out; paused: too many came while paused; lost: there was no connection. */
  readonly why: "sampled" | "paused" | "lost";
  /** Lines, of those that can be counted. */
  count: number;
  readonly from?: number;
  readonly to?: number;
}

export type Entry = Row | Gap;

export interface LogLimits {
  readonly entries: number;
  /** UTF-16 units of payloads and outputs. */
  readonly size: number;
}

export const LIMITS: LogLimits = { entries: 1000, size: 8 << 20 };
/** Messages whose actions were told of before the message itself. */
const EARLY = 200;

export class TraceLog {
  /** Lines that the server left out, in all. */
  dropped = 0;
  #rule: string;
  #limits: LogLimits;
  #n = 0;
  /** Oldest first: those shown, and while paused those that wait. */
  #shown: Entry[] = [];
  #waiting: Entry[] | undefined;
  #rows = new Map<string, Row>();
  #early = new Map<string, ActionTrace[]>();

  constructor(rule: string, limits: LogLimits = LIMITS) {
    this.#rule = rule;
    this.#limits = limits;
  }

  /** What is shown, oldest first. */
  get entries(): readonly Entry[] {
    return this.#shown;
  }

  get paused(): boolean {
    return this.#waiting !== undefined;
  }

  /** How many messages wait for the pause to end. */
  get waiting(): number {
    return this.#waiting?.filter(({ kind }) => kind === "message").length ?? 0;
  }

  pause(): void {
    this.#waiting ??= [];
  }

  resume(): void {
    const waiting = this.#waiting ?? [];
    this.#waiting = undefined;
    this.#shown.push(...waiting);
    this.#trim(this.#shown);
  }

  take(line: TraceLine): void {
    if (line.dropped) {
      this.dropped += line.dropped;
      this.#gap("sampled", line.dropped);
    }
    if (line.message) this.#message(line.message);
    if (line.action) this.#action(line.action);
  }

  /** Notes that nothing was heard between two moments. */
  lost(from: number, to: number): void {
    this.#add({ kind: "gap", n: ++this.#n, why: "lost", count: 0, from, to });
  }

  #message(message: MessageTrace): void {
    const rule = message.rules.find(({ rule }) => rule === this.#rule);
    if (!rule) return;
    const known = this.#rows.get(message.id);
    if (known) { // what was to be evaluated later has been
      known.rule = (known.rule.actions ?? []).reduce(withAction, rule);
      known.version++;
      return;
    }
    const early = this.#early.get(message.id) ?? [];
    this.#early.delete(message.id);
    const row: Row = { kind: "message", n: ++this.#n, message, rule: early.reduce(withAction, rule), version: 0 };
    this.#rows.set(message.id, row);
    this.#add(row);
  }

  #action(action: ActionTrace): void {
    if (action.trace === undefined || (action.rule ?? this.#rule) !== this.#rule) return;
    const row = this.#rows.get(action.trace);
    if (row) {
      row.rule = withAction(row.rule, action);
      row.version++;
      return;
    }
    this.#early.set(action.trace, [...(this.#early.get(action.trace) ?? []), action].slice(-EARLY));
    if (this.#early.size > EARLY) this.#early.delete(this.#early.keys().next().value!);
  }

  #gap(why: "sampled" | "paused", count: number): void {
    const list = this.#waiting ?? this.#shown;
    const last = list.at(-1);
    if (last?.kind === "gap" && last.why === why) last.count += count;
    else this.#add({ kind: "gap", n: ++this.#n, why, count });
  }

  #add(entry: Entry): void {
    const list = this.#waiting ?? this.#shown;
    list.push(entry);
    const gone = this.#trim(list);
    if (!this.#waiting || !gone) return;
    const first = list[0];
    if (first?.kind === "gap" && first.why === "paused") first.count += gone;
    else list.unshift({ kind: "gap", n: entry.n - list.length, why: "paused", count: gone });
  }

  /** Drops the oldest beyond the limits, but not the mark of what was dropped while paused. Returns how many messages it dropped. */
  #trim(list: Entry[]): number {
    let size = list.reduce((sum, entry) => sum + sizeOf(entry), 0);
    let gone = 0;
    while (list.length > 1 && (list.length > this.#limits.entries || size > this.#limits.size)) {
      const marked = list === this.#waiting && list[0]?.kind === "gap" && list[0].why === "paused" ? 1 : 0;
      if (marked && list.length < 3) break;
      const [entry] = list.splice(marked, 1);
      size -= sizeOf(entry!);
      if (entry!.kind !== "message") continue;
      this.#rows.delete(entry!.message.id);
      gone++;
    }
    return gone;
  }
}

function sizeOf(entry: Entry): number {
  if (entry.kind !== "message") return 0;
  const { payload } = entry.message;
  const { output, where, variables } = entry.rule;
  const texts = [payload.text, payload.binary, output?.text, output?.binary, ...[...(where ?? []), ...(variables ?? [])].flatMap(({ text, value }) => [text, value])];
  return texts.reduce((sum, text) => sum + (text?.length ?? 0), 0);
}

const FINAL: ReadonlySet<ActionTrace["state"]> = new Set(["done", "failed", "dead"]);

/** The rule's trace with what is now known of an action: of two alike, the first that is not finished. */
export function withAction(rule: RuleTrace, action: ActionTrace): RuleTrace {
  const actions = [...(rule.actions ?? [])];
  const alike = (other: ActionTrace) => other.action === action.action && other.target === action.target && !other.errorAction === !action.errorAction;
  let at = actions.findIndex((other) => alike(other) && !FINAL.has(other.state));
  if (at < 0) at = actions.findIndex((other) => alike(other) && other.state === "dead"); // the operator has it retried
  if (at < 0) actions.push(action);
  else actions[at] = action;
  return { ...rule, actions };
}
