// One dead letter: why, of what, and its body.

import type { Context } from "../context";
import { type Child, fill, h } from "../dom";
import { asApiError } from "../feed";
import { failure, glyph, heading, notice, setAge, timeElement } from "../parts";
import { parameter, rulePath, setParameter } from "../router";
import { type DeadLetter, deadLetter, dropLetter, retryLetter, taskPayload } from "../ruleapi";
import { confirmed } from "./confirm";
import { data } from "./excerpt";

const LIST = "/dead-letters";

/** Shows the letter of this number. How its body is written is the URL's body. */
export function letterPage(context: Context, id: number): string {
  const place = h("div", { class: "letter" }, h("p", { class: "muted" }, "Loading…"));
  const title = `Dead letter ${id}`;
  context.main.append(h("div", { class: "head device-head" }, heading(title), h("a", { href: LIST }, "All dead letters")), place);
  void load(context, place, id);
  return title;
}

async function load(context: Context, place: HTMLElement, id: number): Promise<void> {
  try {
    const letter = await deadLetter(id);
    if (!context.scope.closed) show(context, place, letter);
  } catch (cause) {
    const error = asApiError(cause);
    if (context.scope.closed) return;
    if (error.status === 404) fill(place, notice("No dead letter of this number", h("p", {}, "It has been retried or dropped. ", h("a", { href: LIST }, "Go to the dead letters"), ".")));
    else fill(place, failure("The dead letter could not be loaded", error, () => void load(context, place, id)));
  }
}

function show(context: Context, place: HTMLElement, letter: DeadLetter): void {
  const { reason, rule, action, topic, origin, at, outbox, key } = letter;
  const age = h("span", { class: "muted" });
  setAge(age, Date.parse(at));
  const facts: Array<readonly [string, Child[]]> = [
    ["Rule", [rule ? h("a", { href: rulePath(rule) }, rule) : "none"]],
    ["Action", [action || "none: the message itself was refused"]],
    ["Topic", [h("code", {}, topic || "–")]],
    ["Sender", [h("code", {}, origin || "–")]],
    ["When", [timeElement(Date.parse(at)), " · ", age]],
  ];
  if (outbox) facts.push(["Outbox", [h("code", {}, outbox), !!key && " · key ", !!key && h("code", {}, key)]]);
  fill(
    place,
    h("p", { class: "alarm-text state" }, glyph("alarm"), h("span", { class: "long" }, reason || "without a reason")),
    h("dl", { class: "facts" }, ...facts.flatMap(([term, values]) => [h("dt", {}, term), h("dd", {}, ...values)])),
    tools(context, letter),
    outbox && message(letter.body ?? ""),
    body(letter.body ?? ""),
  );
}

function tools({ feed, router, scope }: Context, { id }: DeadLetter): HTMLElement {
  const problem = h("div");
  const retry = h("button", { type: "button", class: "primary" }, "Retry");
  const act = async (does: typeof retryLetter, what: string) => {
    try {
      await does(id, feed.session.get()?.csrf ?? "");
      router.go(LIST);
    } catch (cause) {
      const error = asApiError(cause);
      const why = error.detail || error.title;
      fill(problem, error.status === 409 ? h("p", { class: "alarm-text long", role: "alert" }, `The letter was not ${what}: ${why}`) : failure(`The letter was not ${what}`, error));
    }
  };
  retry.addEventListener("click", async () => {
    retry.disabled = true;
    await act(retryLetter, "retried");
    retry.disabled = false;
  });
  const drop = confirmed({ ask: "Drop", question: "Drop it for good?", yes: "Drop it", act: () => act(dropLetter, "dropped") });
  const bar = h("div", { class: "tools" }, retry, drop);
  scope.watch(feed.session, (session) => (bar.hidden = !session?.operator));
  return h("div", {}, bar, problem);
}

/** The message whose action it was, which the body of an outbox entry has in base64. */
function message(base64: string): HTMLElement | false {
  const payload = taskPayload(textOf(base64));
  if (payload === undefined) return false;
  const text = textOf(payload);
  return h("section", { "aria-label": "Message" }, h("div", { class: "section-head" }, h("h2", {}, "Message")), text === undefined && h("p", { class: "muted" }, "It is not text: in base64."), data(text ?? payload, "the message"));
}

/** The body, as text where it is text, or in base64. */
function body(base64: string): HTMLElement {
  const text = textOf(base64);
  const place = h("div");
  const ways: Array<readonly [string, string]> = text === undefined ? [["", "Base64"]] : [["", "Text"], ["base64", "Base64"]];
  const buttons = ways.map(([way, label]) => {
    const button = h("button", { type: "button" }, label);
    button.addEventListener("click", () => {
      setParameter("body", way);
      draw();
    });
    return { way, button };
  });
  draw();
  const segments = h("div", { class: "segments", role: "group", "aria-label": "How the body is written" }, ...buttons.map(({ button }) => button));
  return h("section", { "aria-label": "Body" }, h("div", { class: "section-head" }, h("h2", {}, "Body"), segments), text === undefined && h("p", { class: "muted" }, "It is not text."), place);

  function draw(): void {
    const raw = text === undefined || parameter("body") === "base64";
    for (const { way, button } of buttons) button.setAttribute("aria-pressed", String(text === undefined || (way === "base64") === raw));
    fill(place, data(raw ? base64 : text, "the body"));
  }
}

/** What base64 holds, when that is UTF-8. */
function textOf(base64: string): string | undefined {
  try {
    const bytes = Uint8Array.from(atob(base64), (unit) => unit.charCodeAt(0));
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}
