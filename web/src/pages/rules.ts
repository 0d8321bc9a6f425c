// The topic rules, and whether they fire.

import type { Context } from "../context";
import { fill, h, setText } from "../dom";
import { command, heading, notice } from "../parts";
import { rulePath } from "../router";
import { type Rule, rules } from "../ruleapi";
import { polled } from "./polled";
import { EnabledSwitch, ruleCounts, ruleState } from "./rulestate";
import { arrange } from "./tracerow";

/** Shows every rule with its counts. */
export function rulesPage(context: Context): string {
  const count = h("span", { class: "count" });
  const list = h("div", { class: "rules" });
  const shown = new Map<string, RuleItem>();
  context.main.append(h("div", { class: "head" }, heading("Rules"), count, h("a", { href: "/rules/new", class: "button primary head-action" }, "New rule")));
  polled(context, "The rules could not be loaded", rules, (place, found) => {
    setText(count, String(found.length));
    if (!found.length) return fill(place, none());
    if (list.parentElement !== place) fill(place, list);
    const items = found.map((rule) => {
      const item = shown.get(rule.name) ?? new RuleItem(context, rule.name);
      shown.set(rule.name, item);
      item.show(rule);
      return item.element;
    });
    arrange(list, items);
  });
  return "Rules";
}

function none(): HTMLElement {
  return notice(
    "No rule yet",
    h("p", {}, "Without a rule nothing that devices send is stored. ", h("a", { href: "/rules/new" }, "Write one"), " and try it on live messages, or create the guide's rule with the AWS CLI:"),
    command("aws iot create-topic-rule --rule-name SendToLambdaRule --topic-rule-payload file://iot-rule.json", "the command"),
  );
}

class RuleItem {
  readonly element: HTMLElement;
  #context: Context;
  #state = h("p", { class: "state" });
  #sql = h("code");
  #actions = h("p", { class: "muted long" });
  #counts = h("div", { class: "rule-counts" });
  #switch: EnabledSwitch;
  #shown = "";

  constructor(context: Context, name: string) {
    this.#context = context;
    this.#switch = new EnabledSwitch(context, name);
    this.element = h(
      "section",
      { class: "rule", "aria-label": `Rule ${name}` },
      h("div", { class: "section-head" }, h("h2", { class: "long" }, h("a", { href: rulePath(name) }, name)), this.#state, this.#switch.element),
      this.#switch.problem,
      h("pre", { class: "sql", tabindex: "0" }, this.#sql),
      this.#actions,
      this.#counts,
    );
  }

  show(rule: Rule): void {
    const key = JSON.stringify(rule);
    if (key === this.#shown) return;
    this.#shown = key;
    this.#switch.show(rule.enabled);
    fill(this.#state, ...ruleState(rule));
    setText(this.#sql, rule.sql);
    setText(this.#actions, rule.actions.length ? `then ${rule.actions.join(", ")}` : "without an action");
    fill(this.#counts, ...ruleCounts(rule, this.#context.feed.session.get()));
  }
}
