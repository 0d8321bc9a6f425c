// JSON that keeps what was sent. Values are handed on as slices of the text they
// came in, so 1.10 stays "1.10" and a 20-digit counter keeps every digit, where
// JSON.parse would round both to a double.

/** Thrown for text that is not JSON; `offset` counts UTF-16 units. */
export class JsonError extends Error {
  constructor(
    reason: string,
    readonly offset: number,
  ) {
    super(`${reason} at offset ${offset}`);
  }
}

export type Kind = "object" | "array" | "string" | "number" | "boolean" | "null";

const MAX_DEPTH = 200;
const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
const STRING = /"[^"\\\u0000-\u001f]*(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\u0000-\u001f]*)*"/y;
const SPACE = /[ \t\n\r]*/y;
const WORDS = ["true", "false", "null"];

/** The kind of a value, told from the first character of its text. */
export function kindOf(raw: string): Kind {
  switch (raw[0]) {
    case "{":
      return "object";
    case "[":
      return "array";
    case '"':
      return "string";
    case "t":
    case "f":
      return "boolean";
    case "n":
      return "null";
    default:
      return "number";
  }
}

/** The members of an object, in the order sent, each value as its own text. A repeated name keeps its last value. */
export function members(text: string): Map<string, string> {
  const found = new Map<string, string>();
  const start = skip(text, 0);
  if (text[start] !== "{") throw new JsonError("expected an object", start);
  const end = object(text, start, 0, (name, raw) => found.set(name, raw));
  atEnd(text, end);
  return found;
}

/** The elements of an array, each as its own text. */
export function elements(text: string): string[] {
  const found: string[] = [];
  const start = skip(text, 0);
  if (text[start] !== "[") throw new JsonError("expected an array", start);
  const end = array(text, start, 0, (raw) => found.push(raw));
  atEnd(text, end);
  return found;
}

/** The text of a JSON string, or undefined when raw is not one. */
export function unquote(raw: string | undefined): string | undefined {
  return raw?.[0] === '"' ? (JSON.parse(raw) as string) : undefined;
}

/** The number as a double, or undefined when raw is not a number. For positions and charts, never for display. */
export function toNumber(raw: string | undefined): number | undefined {
  if (raw === undefined || kindOf(raw) !== "number") return undefined;
  const value = Number(raw);
  return Number.isFinite(value) ? value : undefined;
}

type Member = (name: string, raw: string) => void;
type Element = (raw: string) => void;

function value(text: string, at: number, depth: number): number {
  if (depth > MAX_DEPTH) throw new JsonError("nested too deeply", at);
  switch (text[at]) {
    case "{":
      return object(text, at, depth);
    case "[":
      return array(text, at, depth);
    case '"':
      return token(text, at, STRING, "a string");
  }
  for (const word of WORDS) {
    if (text.startsWith(word, at)) return at + word.length;
  }
  return token(text, at, NUMBER, "a value");
}

function object(text: string, start: number, depth: number, visit?: Member): number {
  let at = skip(text, start + 1);
  if (text[at] === "}") return at + 1;
  for (;;) {
    const nameEnd = token(text, at, STRING, "a member's name");
    const colon = skip(text, nameEnd);
    if (text[colon] !== ":") throw new JsonError("expected :", colon);
    const from = skip(text, colon + 1);
    const to = value(text, from, depth + 1);
    visit?.(JSON.parse(text.slice(at, nameEnd)) as string, text.slice(from, to));
    at = skip(text, to);
    if (text[at] === "}") return at + 1;
    if (text[at] !== ",") throw new JsonError("expected , or }", at);
    at = skip(text, at + 1);
  }
}

function array(text: string, start: number, depth: number, visit?: Element): number {
  let at = skip(text, start + 1);
  if (text[at] === "]") return at + 1;
  for (;;) {
    const to = value(text, at, depth + 1);
    visit?.(text.slice(at, to));
    at = skip(text, to);
    if (text[at] === "]") return at + 1;
    if (text[at] !== ",") throw new JsonError("expected , or ]", at);
    at = skip(text, at + 1);
  }
}

function token(text: string, at: number, pattern: RegExp, want: string): number {
  pattern.lastIndex = at;
  if (!pattern.test(text)) throw new JsonError(`expected ${want}`, at);
  return pattern.lastIndex;
}

function skip(text: string, at: number): number {
  SPACE.lastIndex = at;
  SPACE.test(text);
  return SPACE.lastIndex;
}

function atEnd(text: string, at: number): void {
  const end = skip(text, at);
  if (end !== text.length) throw new JsonError("unexpected text after the value", end);
}
