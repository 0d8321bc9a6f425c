// What a rule made of a message, in full: the parts of WHERE, variables, output
// and actions.

import { type Child, h } from "../dom";
import { glyph } from "../parts";
import type { DeviceState } from "../store";
import { took } from "../time";
import { type ActionState, type ActionTrace, decidingPath, hasNoFields, isLiteral, type MessageTrace, type PartNode, type RuleTrace, treeOf } from "../trace";
import { data, excerptElement } from "./excerpt";

const STATES: Readonly<Record<ActionState, readonly [DeviceState | "alarm", string]>> = {
  done: ["online", "done"],
  queued: ["never", "in the outbox"],
  retrying: ["quiet", "being retried"],
  failed: ["alarm", "failed"],
  dead: ["alarm", "given up: in the dead letters"],
};

/** Nested deeper than this, parts are no longer indented. */
const DEEPEST = 12;

/** A message and what the rule made of it. A trial performs no actions. */
export function traceDetail(message: MessageTrace, rule: RuleTrace, trial: boolean): HTMLElement {
  const facts = h("p", { class: "muted" }, [`topic ${message.topic}`, message.clientId && `client ${message.clientId}`].filter(Boolean).join(" · "));
  return h("div", { class: "trace-detail" }, part("Message", excerptElement(message.payload, "the payload"), facts, hasNoFields(message.payload, rule) && h("p", { class: "alarm-text state" }, glyph("alarm"), "It is not JSON, so every field of it is Undefined.")), ...ruleDetail(rule, trial), !trial && h("p", { class: "muted trace-id" }, `trace ${message.id}`));
}

/** What the rule made of it, without the message. */
export function ruleDetail(rule: RuleTrace, trial: boolean): HTMLElement[] {
  const { variables, output, actions, error } = rule;
  const sections = [where(rule)];
  if (variables?.length) sections.push(part("Variables", variableList(treeOf(variables))));
  if (error) sections.push(part("Failure", h("p", { class: "alarm-text" }, glyph("alarm"), error)));
  if (rule.undefined) sections.push(part("Output", h("p", {}, "Empty: the value of SELECT VALUE is Undefined.")));
  else if (output) sections.push(part("Output", excerptElement(output, "the output"), h("p", { class: "muted" }, `evaluated in ${took(rule.took)}`)));
  if (!trial && rule.fired) sections.push(part("Actions", actions?.length ? h("ol", { class: "actions" }, ...actions.map(actionElement)) : h("p", { class: "muted" }, "The rule has no action.")));
  return sections;
}

function where(rule: RuleTrace): HTMLElement {
  const section = whereSection(rule);
  section.className = "where";
  return section;
}

function part(title: string, ...children: Child[]): HTMLElement {
  return h("section", {}, h("h3", {}, title), ...children);
}

function whereSection(rule: RuleTrace): HTMLElement {
  if (rule.disabled) return part("WHERE", h("p", { class: "muted" }, "Not evaluated: the rule is disabled."));
  if (rule.later) return part("WHERE", h("p", { class: "muted" }, "Not evaluated yet: the rule calls out, so it is evaluated from the outbox."));
  if (rule.where?.length) {
    const tree = treeOf(rule.where);
    return part("WHERE", partList(tree, new Set(decidingPath(tree[0])), 0));
  }
  return part("WHERE", h("p", { class: "muted" }, rule.error ? "It was not reached." : "There is none: every message of the topic is selected."));
}

/** The parts that decided carry the mark; literals, which tell nothing, are left out. */
function partList(nodes: readonly PartNode[], decided: ReadonlySet<PartNode>, depth: number): HTMLElement {
  const items = nodes.map((node) => {
    const item = h("li", {}, line(node, decided.has(node)));
    const parts = node.parts.filter((one) => !isLiteral(one));
    if (parts.length) item.append(partList(parts, decided, depth + 1));
    return item;
  });
  return h("ul", { class: depth && depth <= DEEPEST ? "parts indented" : "parts" }, ...items);
}

function line({ part: { text, value } }: PartNode, decided = false): HTMLElement {
  const fails = value === "false" || value === "Undefined";
  const shown = h("code", { class: decided ? "part-decides" : fails ? "part-fails" : "" }, value);
  return h("span", { class: "part" }, h("code", {}, text), h("span", { class: "muted" }, " is "), h("span", { class: "part-value" }, decided && glyph("alarm"), shown));
}

function variableList(nodes: readonly PartNode[]): HTMLElement {
  return h("ul", { class: "parts" }, ...nodes.map((node) => h("li", {}, line(node))));
}

function actionElement(action: ActionTrace): HTMLElement {
  const [shape, word] = STATES[action.state] ?? ["never", action.state];
  const more = [(action.attempt ?? 0) > 1 && `attempt ${action.attempt}`, action.state !== "queued" && action.took && took(action.took)].filter(Boolean).join(" · ");
  return h(
    "li",
    {},
    h("p", { class: "action-head" }, action.errorAction && h("span", { class: "muted" }, "error action "), h("strong", {}, action.action), " ", h("code", {}, action.target)),
    h("p", { class: "state" }, glyph(shape), h("span", {}, h("span", { class: shape === "alarm" ? "alarm-text" : "" }, word), more && h("span", { class: "muted" }, ` · ${more}`))),
    action.error && data(action.error, "the error"),
  );
}
