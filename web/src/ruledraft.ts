// The parts of a rule as they are typed: checked here as far as that goes without
// the server.

import { elements, JsonError, kindOf, members } from "./json";

/** What AWS takes as a rule's name. */
export const RULE_NAME = /^[A-Za-z0-9_]{1,128}$/;

export interface TextFault {
  readonly message: string;
  /** A UTF-16 index. */
  readonly at?: number;
}

/** What is wrong with the JSON of a list of actions, if anything. */
export function actionsFault(text: string): TextFault | undefined {
  if (!text.trim()) return { message: "Give at least one action, in square brackets." };
  const list = parsed(() => elements(text));
  if (!Array.isArray(list)) return list;
  if (!list.length) return { message: "Give at least one action.", at: text.indexOf("[") };
  const wrong = list.findIndex((raw) => kindOf(raw) !== "object" || members(raw).size !== 1);
  return wrong < 0 ? undefined : { message: `Action ${wrong + 1} is not an object of one member that names its kind, such as {"lambda": {…}}.` };
}

/** What is wrong with the JSON of an error action, if anything; none is right. */
export function errorActionFault(text: string): TextFault | undefined {
  if (!text.trim()) return undefined;
  const found = parsed(() => members(text));
  if (!(found instanceof Map)) return found;
  return found.size === 1 ? undefined : { message: 'An error action is an object of one member that names its kind, such as {"republish": {…}}.' };
}

/** The list with one more action; undefined when the list is not right JSON. */
export function withTemplate(text: string, action: unknown): string | undefined {
  const list = text.trim() ? parsed(() => elements(text)) : [];
  if (!Array.isArray(list)) return undefined;
  const all = [...list, JSON.stringify(action, null, 2).replaceAll("\n", "\n  ")];
  return `[\n  ${all.join(",\n  ")}\n]`;
}

function parsed<T>(parse: () => T): T | TextFault {
  try {
    return parse();
  } catch (cause) {
    if (!(cause instanceof JsonError)) throw cause;
    return { message: `This is not JSON: ${cause.message.replace(/ at offset \d+$/, "")}`, at: cause.offset };
  }
}

/** The field of the editor that a refusal of the server belongs to, as far as its words tell. */
export function fieldOf(status: number, words: string): "name" | "actions" | "errorAction" | "statement" | "form" {
  if (status === 409 || /ruleName|rule name\b|rule's name/i.test(words)) return "name";
  if (/error ?action/i.test(words)) return "errorAction";
  if (/action|template|names what is not there/i.test(words)) return "actions";
  if (/\bsql\b|statement/i.test(words)) return "statement";
  return "form";
}
