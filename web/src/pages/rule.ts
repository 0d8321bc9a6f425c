// One rule: what it says, how it fares, and what it makes of each message, live.

import type { Context } from "../context";
import { type Child, fill, h, setText } from "../dom";
import { asApiError } from "../feed";
import { failure, heading, notice } from "../parts";
import { editPath } from "../router";
import { definition, deleteRule, type Rule, type RuleDefinition, rules } from "../ruleapi";
import { confirmed } from "./confirm";
import { data } from "./excerpt";
import { LiveTrace } from "./livetrace";
import { polled } from "./polled";
import { EnabledSwitch, ruleCounts, ruleState } from "./rulestate";

/** Shows the rule of this name, live. The trace's filter is the URL's show. */
export function rulePage(context: Context, name: string): string {
  const { main } = context;
  const view = new RuleView(context, name);
  main.append(view.head);
  const find = async () => {
    const [list, rule] = await Promise.all([rules(), definition(name).catch(unlessMissing)]);
    return { status: list.find((one) => one.name === name), rule };
  };
  polled(context, "The rule could not be loaded", find, (place, { status, rule }) => view.show(place, status, rule));
  main.append(view.below);
  return name;
}

/** A rule may be gone since the list was made. */
function unlessMissing(cause: unknown): undefined {
  if (asApiError(cause).status !== 404) throw cause;
}

class RuleView {
  readonly head: HTMLElement;
  readonly below = h("div");
  #context: Context;
  #name: string;
  #state = h("p", { class: "state" });
  #tools: HTMLElement;
  #switch: EnabledSwitch;
  #problem = h("div");
  #said = h("div", { class: "rule-said" });
  #counts = h("div", { class: "rule-counts" });
  #trace: LiveTrace | undefined;
  #shown = "";

  constructor(context: Context, name: string) {
    this.#context = context;
    this.#name = name;
    this.#switch = new EnabledSwitch(context, name);
    const remove = confirmed({ ask: "Delete", question: "Delete this rule?", yes: "Delete it", act: () => this.#delete() });
    this.#tools = h("div", { class: "tools" }, this.#switch.element, h("a", { href: editPath(name), class: "button" }, "Edit"), remove);
    const title = heading(name);
    title.title = name;
    context.scope.watch(context.feed.session, (session) => (remove.hidden = !session?.operator));
    this.head = h("div", { class: "head device-head" }, title, this.#state, this.#tools);
  }

  show(place: HTMLElement, status: Rule | undefined, rule: RuleDefinition | undefined): void {
    this.#tools.hidden = !status;
    if (!status) {
      fill(this.#state);
      fill(place, notice("No rule of this name", h("p", {}, "It may have been deleted, or the address has a slip. "), h("p", {}, h("a", { href: "/rules" }, "Go to the rules"), " or ", h("a", { href: "/rules/new" }, "write a new one"), ".")));
      return;
    }
    if (this.#said.parentElement !== place) fill(place, this.#switch.problem, this.#problem, this.#counts, this.#said);
    this.#switch.show(status.enabled);
    fill(this.#state, ...ruleState(status));
    fill(this.#counts, ...ruleCounts(status, this.#context.feed.session.get()));
    const key = JSON.stringify([status.sql, status.actions, rule]);
    if (key !== this.#shown) fill(this.#said, ...said(status, rule));
    this.#shown = key;
    if (!this.#trace) {
      this.#trace = new LiveTrace(this.#context, this.#name);
      this.below.append(this.#trace.element);
    }
    this.#trace.describe(status.sql);
  }

  async #delete(): Promise<void> {
    try {
      await deleteRule(this.#name, this.#context.feed.session.get()?.csrf ?? "");
      this.#context.router.go("/rules");
    } catch (cause) {
      fill(this.#problem, failure("The rule was not deleted", asApiError(cause)));
    }
  }
}

/** The statement, and what follows. */
function said(status: Rule, rule: RuleDefinition | undefined): Child[] {
  const about = [rule?.description, rule && `SQL version ${rule.awsIotSqlVersion}`].filter(Boolean).join(" · ");
  const out: Child[] = [data(status.sql, "the statement"), h("p", { class: "muted long" }, about)];
  const actions = rule?.actions ?? [];
  if (status.actions.length) out.push(...status.actions.map((action, n) => folded(`then ${action}`, actions[n])));
  else out.push(h("p", { class: "muted" }, "without an action"));
  if (rule?.errorAction) out.push(folded(`when an action fails: ${Object.keys(rule.errorAction).join(", ")}`, rule.errorAction));
  return out;
}

/** One line that opens to the JSON behind it. */
function folded(words: string, json: unknown): HTMLElement {
  const line = h("span", { class: "long" });
  setText(line, words);
  if (json === undefined) return h("p", {}, line);
  return h("details", { class: "folded" }, h("summary", {}, line), data(JSON.stringify(json, null, 2), "the action"));
}
