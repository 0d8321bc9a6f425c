// The state of a rule, wherever it is shown.

import type { Session } from "../api";
import type { Context } from "../context";
import { type Child, fill, h, setAttribute } from "../dom";
import { asApiError } from "../feed";
import { command, failure, glyph } from "../parts";
import { enableRule, type Rule } from "../ruleapi";

export function ruleState(rule: Rule): Child[] {
  if (rule.broken) return [glyph("alarm"), h("span", {}, "broken: an earlier version stored it, and it does not compile any more")];
  if (!rule.enabled) return [glyph("never"), h("span", {}, "disabled: it does not fire")];
  if (!rule.permission) return [glyph("alarm"), h("span", {}, "enabled, but without permission: its function is not invoked")];
  return [glyph("online"), h("span", {}, "enabled")];
}

/** How often the rule did what, and its last failure. */
export function ruleCounts(rule: Rule, session: Session | undefined): Child[] {
  const counts: Array<readonly [string, number]> = [
    ["matched", rule.matched],
    ["fired", rule.fired],
    ["failed", rule.failed],
  ];
  return [
    h("dl", { class: "counts" }, ...counts.map(([word, n]) => h("div", {}, h("dt", {}, word), h("dd", {}, n.toLocaleString())))),
    !rule.permission && permission(rule, session),
    rule.lastError && h("p", { class: "alarm-text state" }, glyph("alarm"), h("span", { class: "long" }, `Last failure: ${rule.lastError}`)),
  ];
}

function permission(rule: Rule, session: Session | undefined): HTMLElement {
  const functionName = rule.actions.find((action) => action.startsWith("lambda "))?.slice("lambda ".length) ?? "ProcessIoTData";
  const arn = `arn:aws:iot:${session?.region ?? "$AWS_REGION"}:${session?.account ?? "$ACCOUNT_ID"}:rule/${rule.name}`;
  const statement = rule.name === (session?.rule ?? rule.name) ? "iot-invoke" : `iot-invoke-${rule.name}`; // one of its own: statement ids are unique
  const lines = [
    `aws lambda add-permission --function-name ${functionName}`,
    `  --statement-id ${statement} --action lambda:InvokeFunction`,
    "  --principal iot.amazonaws.com",
    `  --source-arn ${arn}`,
  ];
  return h("div", {}, h("p", { class: "muted" }, "Permit it to invoke the function:"), command(lines.join(" \\\n"), "the command"));
}

/** The operator's switch that enables a rule; nobody else sees it. */
export class EnabledSwitch {
  readonly element: HTMLButtonElement;
  /** What went wrong with it. */
  readonly problem = h("div");
  #context: Context;
  #name: string;
  #enabled = false;

  constructor(context: Context, name: string) {
    this.#context = context;
    this.#name = name;
    this.element = h("button", { type: "button", class: "switch", role: "switch", "aria-checked": "false", "aria-label": `Rule ${name} is enabled`, onclick: () => void this.#change() }, h("span", { "aria-hidden": "true" }));
    context.scope.watch(context.feed.session, (session) => (this.element.hidden = !session?.operator));
  }

  show(enabled: boolean): void {
    if (this.element.disabled) return; // a change is under way
    this.#enabled = enabled;
    setAttribute(this.element, "aria-checked", String(enabled));
  }

  async #change(): Promise<void> {
    const wanted = !this.#enabled;
    this.element.disabled = true;
    try {
      await enableRule(this.#name, wanted, this.#context.feed.session.get()?.csrf ?? "");
      this.#enabled = wanted;
      setAttribute(this.element, "aria-checked", String(wanted));
      fill(this.problem);
    } catch (cause) {
      fill(this.problem, failure(`The rule was not ${wanted ? "enabled" : "disabled"}`, asApiError(cause)));
    } finally {
      this.element.disabled = false;
    }
  }
}
