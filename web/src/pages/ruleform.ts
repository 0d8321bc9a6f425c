// The rest of a rule than its statement: name, description, actions.

import { ApiError } from "../api";
import type { Context } from "../context";
import { fill, h, setAttribute, setText } from "../dom";
import { asApiError } from "../feed";
import { failure, glyph, login } from "../parts";
import { editPath, rulePath } from "../router";
import { changeRule, createRule, type RuleDefinition, type Trial } from "../ruleapi";
import { actionsFault, errorActionFault, fieldOf, RULE_NAME, withTemplate } from "../ruledraft";
import { actionTemplates } from "./actiontemplates";
import { CodeField } from "./codefield";

export interface RuleFormConfig {
  /** The rule that is changed; undefined makes a new one. */
  readonly rule: RuleDefinition | undefined;
  /** Shows a refusal that is about the statement. */
  readonly refuse: (error: ApiError) => void;
  readonly onChange: () => void;
  /** The rule is as it was asked for. */
  readonly done: () => void;
}

export class RuleForm {
  readonly element: HTMLFormElement;
  #context: Context;
  #config: RuleFormConfig;
  #name = h("input", { id: "rule-name", autocomplete: "off", spellcheck: "false", maxlength: "128", placeholder: "HotReadings", "aria-describedby": "rule-name-problem" });
  #nameProblem = h("p", { id: "rule-name-problem", class: "alarm-text", role: "status" });
  #description = h("input", { id: "rule-description", autocomplete: "off", maxlength: "256" });
  #enabled = h("input", { id: "rule-enabled", type: "checkbox", checked: true });
  #actions: CodeField;
  #errorAction: CodeField;
  #button = h("button", { type: "submit", class: "primary" });
  #hint = h("span", { class: "muted" });
  #problem = h("div");
  #trial: Trial | undefined;
  #busy = false;

  constructor(context: Context, config: RuleFormConfig) {
    this.#context = context;
    this.#config = config;
    const { rule, onChange } = config;
    this.#actions = new CodeField({ id: "rule-actions", label: "Actions", rows: 3, placeholder: '[{"lambda": {"functionArn": "arn:aws:lambda:…"}}]', onInput: () => (this.#actions.fault(undefined), onChange()) }, this.#templates("Add an action…", (action) => this.#add(action)));
    this.#errorAction = new CodeField({ id: "rule-error-action", label: "Error action (optional)", rows: 1, onInput: () => (this.#errorAction.fault(undefined), onChange()) }, this.#templates("Start from…", (action) => this.#setErrorAction(action)));
    this.element = h("form", { class: "rule-form", novalidate: true }, h("h2", {}, "The rule"), ...this.#fields(), this.#actions.element, this.#errorAction.element, this.#problem, this.#end());
    this.element.addEventListener("submit", (event) => (event.preventDefault(), void this.#submit()));
    for (const input of [this.#name, this.#description, this.#enabled]) context.scope.on(input, "input", onChange);
    if (rule) this.#load(rule);
    this.take(undefined, "");
  }

  /** Takes the statement once it parses; until then why says what is missing. */
  take(trial: Trial | undefined, why: string): void {
    this.#trial = trial;
    this.#button.disabled = this.#busy || !trial;
    setText(this.#hint, trial ? "" : why);
  }

  #fields(): HTMLElement[] {
    const { rule } = this.#config;
    const name = h("div", { class: "field" }, h("label", { for: "rule-name" }, "Name"), this.#name, this.#nameProblem);
    const description = h("div", { class: "field" }, h("label", { for: "rule-description" }, "Description (optional)"), this.#description);
    const enabled = h("label", { class: "check", for: "rule-enabled" }, this.#enabled, "Enabled: it acts on the next message");
    return rule ? [description, enabled] : [name, description, enabled];
  }

  #end(): HTMLElement {
    const place = h("div", { class: "form-end" });
    this.#context.scope.watch(this.#context.feed.session, (session) => {
      const logIn = () => login(this.#config.rule ? "Log in to change the rule" : "Log in to create the rule", "Everyone who may look may try statements; changing rules needs the operator's session.");
      if (session && !session.operator) fill(place, logIn());
      else fill(place, this.#button, this.#hint);
    });
    this.#label();
    return place;
  }

  #label(): void {
    const [rest, busy] = this.#config.rule ? ["Save rule", "Saving…"] : ["Create rule", "Creating…"];
    setText(this.#button, this.#busy ? busy : rest);
    this.#button.disabled = this.#busy || !this.#trial;
  }

  #load(rule: RuleDefinition): void {
    this.#name.value = rule.ruleName;
    this.#description.value = rule.description ?? "";
    this.#enabled.checked = !rule.ruleDisabled;
    this.#actions.value = JSON.stringify(rule.actions ?? [], null, 2);
    if (rule.errorAction) this.#errorAction.value = JSON.stringify(rule.errorAction, null, 2);
  }

  #templates(prompt: string, chosen: (action: unknown) => void): HTMLElement {
    const kinds = actionTemplates(undefined).map(([kind]) => h("option", { value: kind }, kind));
    const select = h("select", { "aria-label": prompt.replace("…", "") }, h("option", { value: "" }, prompt), ...kinds);
    select.addEventListener("change", () => {
      const template = actionTemplates(this.#context.feed.session.get()).find(([kind]) => kind === select.value);
      select.value = "";
      if (template) chosen(template[1]);
    });
    return select;
  }

  #add(action: unknown): void {
    const more = withTemplate(this.#actions.value, action);
    if (more === undefined) return this.#actions.fault(actionsFault(this.#actions.value));
    this.#actions.value = more;
    this.#config.onChange();
  }

  #setErrorAction(action: unknown): void {
    this.#errorAction.value = JSON.stringify(action, null, 2);
    this.#config.onChange();
  }

  /** Marks what is wrong, and goes to the first of it. */
  #valid(): boolean {
    const name = this.#name.value.trim();
    const badName = RULE_NAME.test(name) ? "" : name ? "A rule's name has letters, digits and “_”, at most 128." : "Give the rule a name.";
    this.#tellName(badName);
    const faults = [actionsFault(this.#actions.value), errorActionFault(this.#errorAction.value)] as const;
    this.#actions.fault(faults[0]);
    this.#errorAction.fault(faults[1]);
    if (badName) this.#name.focus();
    else if (faults[0]) this.#actions.area.focus();
    else if (faults[1]) this.#errorAction.area.focus();
    return !badName && !faults[0] && !faults[1];
  }

  #tellName(problem: string): void {
    setAttribute(this.#name, "aria-invalid", String(problem !== ""));
    fill(this.#nameProblem, problem && glyph("alarm"), problem);
  }

  async #submit(): Promise<void> {
    const trial = this.#trial;
    fill(this.#problem);
    if (!trial || this.#busy || !this.#valid()) return;
    const { rule, done } = this.#config;
    const errorAction = this.#errorAction.value.trim();
    const asked: RuleDefinition = {
      ruleName: this.#name.value.trim(),
      sql: trial.sql,
      awsIotSqlVersion: trial.sqlVersion,
      description: this.#description.value,
      ruleDisabled: !this.#enabled.checked,
      actions: JSON.parse(this.#actions.value) as unknown[],
      ...(errorAction ? { errorAction: JSON.parse(errorAction) as unknown } : {}),
    };
    this.#busy = true;
    this.#label();
    try {
      await (rule ? changeRule : createRule)(asked, this.#context.feed.session.get()?.csrf ?? "");
      done();
      this.#context.router.go(rulePath(asked.ruleName));
    } catch (cause) {
      this.#refused(asApiError(cause), asked.ruleName);
    } finally {
      this.#busy = false;
      this.#label();
    }
  }

  /** Shows a refusal where it belongs. */
  #refused(error: ApiError, name: string): void {
    const words = error.detail || error.title;
    const all = `${error.title} ${error.detail}`;
    const { rule, refuse } = this.#config;
    if (error.status === 401 || error.status === 403) void this.#context.feed.refreshSession();
    const field = error.syntax ? "statement" : fieldOf(error.status, all);
    const known = error.status === 400 || error.status === 409 || error.status === 422;
    if (!known || field === "form") fill(this.#problem, failure(`The rule was not ${rule ? "changed" : "created"}`, error));
    else if (field === "name" && !rule) {
      this.#tellName(error.status === 409 ? "A rule of this name exists. " : words);
      if (error.status === 409) this.#nameProblem.append(h("a", { href: editPath(name) }, "Edit it"), " or choose another name.");
      this.#name.focus();
    } else if (field === "actions") this.#actions.fault({ message: words });
    else if (field === "errorAction") this.#errorAction.fault({ message: words });
    else if (field === "statement") refuse(error);
    else fill(this.#problem, failure(`The rule was not ${rule ? "changed" : "created"}`, error));
  }
}
