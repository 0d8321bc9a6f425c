// The topic rules, and whether they fire.

import * as api from "../api";
import type { Context } from "../context";
import { fill, h, setText } from "../dom";
import { command, glyph, heading, notice } from "../parts";
import { polled } from "./polled";

/** Shows every rule with its counts. */
export function rulesPage(context: Context): string {
  const count = h("span", { class: "count" });
  context.main.append(h("div", { class: "head" }, heading("Rules"), count));
  polled(context, "The rules could not be loaded", api.rules, (place, rules) => {
    setText(count, String(rules.length));
    if (!rules.length) fill(place, none());
    else fill(place, ...rules.map((rule) => ruleElement(rule, context.feed.session.get())));
  });
  return "Rules";
}

function none(): HTMLElement {
  return notice(
    "No rule yet",
    h("p", {}, "Without a rule nothing that devices send is stored. Create the guide's rule with the AWS CLI:"),
    command("aws iot create-topic-rule --rule-name SendToLambdaRule --topic-rule-payload file://iot-rule.json", "the command"),
  );
}

function ruleElement(rule: api.Rule, session: api.Session | undefined): HTMLElement {
  const counts: Array<readonly [string, number]> = [
    ["matched", rule.matched],
    ["fired", rule.fired],
    ["failed", rule.failed],
  ];
  return h(
    "section",
    { class: "rule", "aria-label": `Rule ${rule.name}` },
    h("div", { class: "section-head" }, h("h2", {}, rule.name), h("p", { class: "state" }, ...ruleState(rule))),
    h("pre", { class: "sql", tabindex: "0" }, h("code", {}, rule.sql)),
    h("p", { class: "muted" }, rule.actions.length ? `then ${rule.actions.join(", ")}` : "without an action"),
    h("dl", { class: "counts" }, ...counts.map(([word, n]) => h("div", {}, h("dt", {}, word), h("dd", {}, n.toLocaleString())))),
    !rule.permission && permission(rule, session),
    rule.permission && rule.lastError && h("p", { class: "alarm-text" }, glyph("alarm"), `Last failure: ${rule.lastError}`),
  );
}

function ruleState(rule: api.Rule): Array<Node | string> {
  if (!rule.enabled) return [glyph("never"), h("span", {}, "disabled: it does not fire")];
  if (!rule.permission) return [glyph("alarm"), h("span", {}, "enabled, but without permission: its function is not invoked")];
  return [glyph("online"), "enabled"];
}

function permission(rule: api.Rule, session: api.Session | undefined): HTMLElement {
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
