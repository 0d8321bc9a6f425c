// What could not be done, for the operator to have it tried again or drop it.

import type { Context } from "../context";
import { fill, h, setAttribute, setText } from "../dom";
import { asApiError } from "../feed";
import { heading, notice, setAge, setTime } from "../parts";
import { letterPath, parameter, rulePath } from "../router";
import { type DeadLetter, deadLetters, dropLetter, retryLetter } from "../ruleapi";
import { confirmed } from "./confirm";
import { polled } from "./polled";
import { arrange } from "./tracerow";

const PAGE = 50;

/** Shows a page of dead letters, oldest first: those after the URL's after. */
export function deadLettersPage(context: Context): string {
  new Letters(context);
  return "Dead letters";
}

class Letters {
  #context: Context;
  #after: number;
  #rows = new Map<number, Letter>();
  #all = h("input", { type: "checkbox", "aria-label": "Select all on this page" });
  #chosen = h("span", { class: "muted" }, "");
  #tools = h("div", { class: "tools" });
  #outcome = h("div", { role: "status" });
  #list = h("ol", { class: "letters" });
  #watching = h("p", { class: "muted watching" }, "Retrying and dropping need the operator's session: ", h("code", {}, "fieldline login"), " prints the link.");
  #pages = h("nav", { class: "pages", "aria-label": "Pages of dead letters" });
  #refresh = () => {};

  constructor(context: Context) {
    this.#context = context;
    this.#after = Number(/^[0-9]{1,16}$/.exec(parameter("after"))?.[0] ?? 0);
    const { main, scope, feed } = context;
    main.append(h("div", { class: "head" }, heading("Dead letters"), h("p", { class: "muted" }, "What could not be done after the last try, oldest first")));
    this.#buildTools();
    scope.watch(feed.session, (session) => main.classList.toggle("operator", session?.operator === true));
    scope.add(() => main.classList.remove("operator"));
    scope.on(this.#all, "change", () => {
      for (const row of this.#rows.values()) row.box.checked = this.#all.checked;
      this.#tell();
    });
    scope.on(this.#list, "change", () => this.#tell());
    scope.every(1000, () => this.#rows.forEach((row) => row.tick()));
    this.#refresh = polled(context, "The dead letters could not be loaded", () => deadLetters(this.#after, PAGE + 1), (place, found) => this.#show(place, found));
  }

  #buildTools(): void {
    const retry = h("button", { type: "button" }, "Retry");
    retry.addEventListener("click", async () => {
      retry.disabled = true;
      await this.#each(retryLetter, "put back", "retried");
      retry.disabled = false;
    });
    const drop = confirmed({ ask: "Drop", question: "Drop them for good?", yes: "Drop them", act: () => this.#each(dropLetter, "dropped", "dropped") });
    fill(this.#tools, h("label", { class: "check" }, this.#all, this.#chosen), retry, drop);
  }

  #show(place: HTMLElement, found: readonly DeadLetter[]): void {
    const letters = found.slice(0, PAGE);
    if (!letters.length) {
      this.#rows.clear();
      return fill(place, this.#outcome, none(this.#after > 0));
    }
    if (this.#list.parentElement !== place) fill(place, this.#tools, this.#watching, this.#outcome, this.#list, this.#pages);
    const rows = new Map(letters.map((letter) => [letter.id, this.#rows.get(letter.id) ?? new Letter(letter)]));
    this.#rows = rows;
    arrange(this.#list, [...rows.values()].map(({ element }) => element));
    const first = this.#after > 0 && h("a", { href: "/dead-letters" }, "Oldest");
    const next = found.length > PAGE && h("a", { href: `/dead-letters?after=${letters.at(-1)!.id}` }, "Next page");
    fill(this.#pages, first, next);
    this.#tell();
  }

  #tell(): void {
    const rows = [...this.#rows.values()];
    const chosen = rows.filter(({ box }) => box.checked).length;
    this.#all.checked = chosen > 0 && chosen === rows.length;
    this.#all.indeterminate = chosen > 0 && chosen < rows.length;
    setText(this.#chosen, chosen ? `${chosen} selected` : "Select all");
    for (const button of this.#tools.querySelectorAll("button")) button.disabled = chosen === 0;
  }

  /** Does one thing to each of the selected letters, and says how that went. */
  async #each(act: (id: number, csrf: string) => Promise<void>, done: string, not: string): Promise<void> {
    const csrf = this.#context.feed.session.get()?.csrf ?? "";
    let good = 0;
    const bad: string[] = [];
    for (const [id, { box }] of [...this.#rows]) {
      if (!box.checked) continue;
      try {
        await act(id, csrf);
        good++;
        box.checked = false;
      } catch (cause) {
        bad.push(`Letter ${id} was not ${not}: ${asApiError(cause).message}`);
      }
    }
    const words = good > 0 && `${good} ${good === 1 ? "letter was" : "letters were"} ${done}.`;
    fill(this.#outcome, words && h("p", { class: "outcome" }, words), ...bad.map((why) => h("p", { class: "alarm-text outcome long" }, why)));
    this.#refresh();
  }
}

/** One line of the list. */
class Letter {
  readonly element: HTMLElement;
  readonly box: HTMLInputElement;
  #age = h("span", { class: "muted" });
  #at: number;

  constructor({ id, at, reason, rule, action, topic }: DeadLetter) {
    this.#at = Date.parse(at);
    this.box = h("input", { type: "checkbox", "aria-label": `Select letter ${id}` });
    const time = h("time");
    setTime(time, this.#at);
    const about = h("p", { class: "letter-about" }, h("span", { class: "muted" }, action ?? "message"), h("code", { class: "long" }, topic), !!rule && h("a", { href: rulePath(rule), class: "long" }, rule));
    this.element = h(
      "li",
      {},
      this.box,
      h("div", { class: "letter-when" }, time, this.#age),
      h("div", { class: "letter-what" }, h("a", { href: letterPath(id), class: "long" }, reason || "without a reason"), about),
    );
    setAttribute(this.element, "data-id", String(id));
    this.tick();
  }

  tick(): void {
    setAge(this.#age, this.#at);
  }
}

function none(later: boolean): HTMLElement {
  if (later) return notice("No dead letter after this one", h("p", {}, h("a", { href: "/dead-letters" }, "Go to the oldest")));
  return notice("No dead letter", h("p", {}, "Everything that rules were to do has been done, or is still being tried. What cannot be done after the last try is kept here, with the reason."));
}
