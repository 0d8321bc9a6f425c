// Creates a thing with its certificate, and hands over the files once.

import * as api from "../api";
import { now } from "../clock";
import type { Context } from "../context";
import { fill, h, setText } from "../dom";
import { asApiError, type Feed } from "../feed";
import { command, failure, heading, login } from "../parts";
import type { Scope } from "../signal";
import { credentials } from "./credentials";

/** What AWS takes as a thing's name. */
const NAME = /^[a-zA-Z0-9:_-]{1,128}$/;

/** Shows the form to an operator, and to others how to become one. */
export function addPage({ feed, main, scope }: Context): string {
  const place = h("div", { class: "add" });
  main.append(h("div", { class: "head" }, heading("Add device")), place);
  let created = false;
  scope.watch(feed.session, (session) => {
    if (created) return; // the files are shown once: a change of session must not take them away
    if (!session) fill(place, h("p", { class: "muted" }, "Loading…"));
    else if (!session.operator) fill(place, loggedOut());
    else if (!place.querySelector("form")) fill(place, form(feed, scope, place, () => (created = true)));
  });
  return "Add device";
}

function loggedOut(): HTMLElement {
  return login(
    "Log in to add a device",
    "Creating a device needs the operator's session.",
    h("p", { class: "muted" }, "Or create the device on the command line:"),
    command("fieldline thing create MyDevice002 --out MyDevice002", "the command"),
  );
}

function form(feed: Feed, scope: Scope, place: HTMLElement, created: () => void): HTMLElement {
  const input = h("input", { id: "name", name: "name", autocomplete: "off", spellcheck: "false", maxlength: "128", placeholder: "MyDevice002", "aria-describedby": "name-help" });
  const help = h("p", { id: "name-help", class: "muted" }, "Letters, digits, “-”, “_” and “:”, at most 128. It is also the client id and the device_id of its readings.");
  const button = h("button", { type: "submit", class: "primary" }, "Create device");
  const problem = h("div", {});
  const element = h("form", { novalidate: true }, h("label", { for: "name" }, "Name"), input, help, button, problem);
  element.addEventListener("submit", (event) => {
    event.preventDefault();
    void submit();
  });
  return element;

  async function submit(): Promise<void> {
    const name = input.value.trim();
    const valid = NAME.test(name);
    input.setAttribute("aria-invalid", String(!valid));
    if (!valid) {
      fill(problem, h("p", { class: "alarm-text", role: "alert" }, name ? "This name has a character that is not allowed." : "Give the device a name."));
      return input.focus();
    }
    button.disabled = true;
    setText(button, "Creating…");
    try {
      const thing = await api.createThing(name, feed.session.get()?.csrf ?? "");
      created();
      void feed.list();
      fill(place, credentials(thing, feed, scope, now()));
      place.querySelector("h2")?.focus();
    } catch (cause) {
      const error = asApiError(cause);
      fill(problem, failure("The device was not created", error));
      if (error.status === 401 || error.status === 403) void feed.refreshSession();
    } finally {
      button.disabled = false;
      setText(button, "Create device");
    }
  }
}
