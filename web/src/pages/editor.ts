// Writes a rule: the statement with its errors in place, what it makes of
// messages, and the rest of the rule.

import type { ApiError, SyntaxFault } from "../api";
import type { Context } from "../context";
import { fill, h, setText } from "../dom";
import { asApiError } from "../feed";
import { debounced, Latest } from "../latest";
import { failure, glyph, heading } from "../parts";
import { parameter, rulePath, setParameter } from "../router";
import { definition, lastMessages, type RuleDefinition, type Trial, tryOnLast } from "../ruleapi";
import { filterOf, indexOfByte } from "../sqltext";
import { SECOND } from "../time";
import type { MessageTrace } from "../trace";
import { readState, writeState } from "../urlstate";
import { CodeField } from "./codefield";
import { LiveSamples } from "./livesamples";
import { OwnMessage } from "./ownmessage";
import { Replay } from "./replay";
import { RuleForm } from "./ruleform";

const SAMPLES = 20;
const TYPING = 300;
const REFRESH = 3 * SECOND;
const VERSIONS = ["2016-03-23", "2015-10-08"];

const VIEWS: ReadonlyArray<readonly [string, string]> = [
  ["", "Live messages"],
  ["own", "Your message"],
  ["history", "Stored history"],
];

/** Shows the editor, for a new rule or for the one of this name. Statement and sample are the URL's hash, what it is tried on the URL's try. */
export function editorPage(context: Context, name?: string): string {
  const title = name === undefined ? "New rule" : `Edit ${name}`;
  const place = h("div", { class: "editor" });
  const back = name !== undefined && h("a", { href: rulePath(name) }, "Back to the rule");
  context.main.append(h("div", { class: "head device-head" }, heading(title), back), place);
  if (name === undefined) new Editor(context, place, undefined);
  else void load(context, place, name);
  return title;
}

async function load(context: Context, place: HTMLElement, name: string): Promise<void> {
  fill(place, h("p", { class: "muted" }, "Loading…"));
  try {
    const rule = await definition(name);
    if (!context.scope.closed) new Editor(context, place, rule);
  } catch (cause) {
    if (!context.scope.closed) fill(place, failure("The rule could not be loaded", asApiError(cause), () => void load(context, place, name)));
  }
}

class Editor {
  #context: Context;
  #sql: CodeField;
  #version = h("select", { "aria-label": "SQL version" }, ...VERSIONS.map((version) => h("option", { value: version }, version)));
  #check = h("p", { class: "state parses", role: "status" });
  #linkNote = h("p", { class: "muted" });
  #samples: LiveSamples;
  #own: OwnMessage;
  #replay: Replay;
  #form: RuleForm;
  #view = h("div");
  #latest = new Latest();
  /** The statement as it was last found to parse; undefined while it does not, or nobody knows. */
  #trial: Trial | undefined;
  /** The form has what neither the server nor the URL has. */
  #dirty = false;
  #tried = "";

  constructor(context: Context, place: HTMLElement, rule: RuleDefinition | undefined) {
    this.#context = context;
    const { scope } = context;
    const typed = debounced(scope, TYPING, () => this.#changed());
    const use = (message: MessageTrace) => this.#use(message);
    this.#sql = new CodeField({ id: "sql", label: "Statement", rows: 3, onInput: typed }, this.#version);
    this.#samples = new LiveSamples(use);
    this.#own = new OwnMessage(scope, typed);
    this.#replay = new Replay(scope, use);
    this.#form = new RuleForm(context, { rule, refuse: (error) => this.#mark(error), onChange: () => (this.#dirty = true), done: () => (this.#dirty = false) });
    scope.on(this.#version, "input", typed);
    scope.add(() => this.#latest.stop());
    this.#fill(rule);
    this.#guard();

    const tries = h("section", { class: "try", "aria-labelledby": "try-title" }, h("h2", { id: "try-title" }, "What it makes of messages"), this.#views(), this.#view);
    fill(place, h("section", { class: "statement", "aria-label": "Statement" }, this.#sql.element, this.#check, this.#linkNote), h("div", { class: "editor-columns" }, tries, this.#form.element));
    this.#show();
    this.#ask();
    scope.every(REFRESH, () => document.visibilityState === "visible" && !this.#latest.waits && this.#ask());
  }

  /** Fills the fields: from the URL, else from the rule, else with an example. */
  #fill(rule: RuleDefinition | undefined): void {
    const state = readState(location.hash);
    const topic = this.#context.feed.session.get()?.topic ?? "sensor/data";
    this.#sql.value = state.sql ?? rule?.sql ?? `SELECT * FROM '${topic}' WHERE temperature > 30`;
    const version = state.version ?? rule?.awsIotSqlVersion ?? VERSIONS[0]!;
    if (!VERSIONS.includes(version)) this.#version.append(h("option", { value: version }, version));
    this.#version.value = version;
    this.#own.state = state;
    this.#own.propose(filterOf(this.#sql.value));
  }

  /** What is written is not to be lost by a slip. */
  #guard(): void {
    const { scope } = this.#context;
    scope.on(document, "keydown", (event: KeyboardEvent) => event.key === "Escape" && this.#dirty && event.preventDefault());
    scope.on(window, "beforeunload", (event: BeforeUnloadEvent) => this.#dirty && event.preventDefault());
  }

  #views(): HTMLElement {
    const buttons = VIEWS.map(([name, label]) => {
      const button = h("button", { type: "button", "data-view": name }, label);
      button.addEventListener("click", () => {
        setParameter("try", name);
        this.#show();
      });
      return button;
    });
    return h("div", { class: "segments views", role: "group", "aria-label": "Try it on" }, ...buttons);
  }

  /** Shows what the statement is tried on. */
  #show(): void {
    const view = VIEWS.find(([name]) => name === parameter("try"))?.[0] ?? "";
    const element = { own: this.#own.element, history: this.#replay.element }[view] ?? this.#samples.element;
    if (this.#view.firstChild !== element) fill(this.#view, element);
    for (const button of document.querySelectorAll<HTMLElement>("[data-view]")) button.setAttribute("aria-pressed", String(button.dataset["view"] === view));
    this.#try();
  }

  #use(message: MessageTrace): void {
    setParameter("try", "own");
    this.#show();
    this.#own.use(message);
    this.#changed();
  }

  #changed(): void {
    const { hash, whole } = writeState({ sql: this.#sql.value, version: this.#version.value, ...this.#own.state });
    const url = new URL(location.href);
    url.hash = hash;
    history.replaceState(history.state, "", url);
    setText(this.#linkNote, whole ? "" : "This is too long for the page's address: a copied link does not hold all of it.");
    this.#ask();
  }

  /** Has the statement evaluated on the last messages, which also says whether it parses. */
  #ask(): void {
    const trial = { sql: this.#sql.value, sqlVersion: this.#version.value };
    if (!trial.sql.trim()) {
      this.#latest.stop();
      this.#sql.fault(undefined);
      return this.#judge(undefined, [], "Write a statement first.");
    }
    void this.#latest.ask(
      (signal) => tryOnLast(trial, SAMPLES, signal),
      (traces) => {
        this.#sql.fault(undefined);
        this.#judge(trial, [glyph("online"), "It parses."], "");
        this.#samples.show(traces, filterOf(trial.sql));
      },
      (cause) => this.#failed(asApiError(cause), trial),
    );
  }

  #failed(error: ApiError, trial: Trial): void {
    if (error.status !== 400) {
      // Whether it parses is not known; what is shown stays.
      fill(this.#check, glyph("quiet"), h("span", { class: "long" }, error.status === 401 ? "Log in to try statements." : `It could not be tried: ${error.message}`));
      return;
    }
    this.#mark(error);
    this.#judge(undefined, [], "The statement does not parse yet.");
    const filter = filterOf(trial.sql);
    void this.#latest.ask(
      (signal) => lastMessages(filter ?? "#", SAMPLES, signal),
      (messages) => this.#samples.showUnjudged(messages, filter),
      () => this.#samples.showUnjudged([], filter),
    );
  }

  #mark(error: ApiError): void {
    const { syntax } = error;
    if (syntax) this.#sql.fault({ message: syntaxWords(syntax), at: indexOfByte(this.#sql.value, syntax.offset) });
    else this.#sql.fault({ message: error.detail || error.title });
    fill(this.#check);
  }

  #judge(trial: Trial | undefined, words: Array<Node | string>, why: string): void {
    this.#trial = trial;
    const key = words.map((word) => (typeof word === "string" ? word : "")).join("");
    if (this.#check.textContent !== key) fill(this.#check, ...words);
    this.#form.take(trial, why);
    this.#try();
  }

  /** Hands the statement to what it is tried on, when something about that has changed. */
  #try(): void {
    const key = JSON.stringify([this.#trial, this.#sql.value, parameter("try"), this.#own.state]);
    if (key === this.#tried) return;
    this.#tried = key;
    const filter = filterOf(this.#sql.value);
    this.#own.propose(filter);
    if (parameter("try") === "own") this.#own.try(this.#trial);
    this.#replay.take(this.#trial, filter);
  }
}

/** What is wrong, without the offset that is marked anyway. */
function syntaxWords({ message, want, found }: SyntaxFault): string {
  if (want) return `expected ${want}${found ? `, found ${found}` : ""}.`;
  return message.replace(/^at \d+: /, "") || "this cannot be read.";
}
