// Who listens on the WebSocket.

import * as api from "../api";
import type { Context } from "../context";
import { fill, h, setText } from "../dom";
import { heading, notice, setAge, timeElement } from "../parts";
import { polled } from "./polled";

/** Shows every open WebSocket connection, this page's own among them. */
export function connectionsPage(context: Context): string {
  const count = h("span", { class: "count" });
  context.main.append(h("div", { class: "head" }, heading("Connections"), count));
  polled(context, "The connections could not be loaded", api.connections, (place, found) => {
    setText(count, String(found.length));
    if (found.length) fill(place, table(found));
    else fill(place, notice("No connection", h("p", {}, "Browsers and programs that listen at ", h("code", {}, "/prod"), " appear here.")));
  });
  context.scope.every(1000, () => {
    for (const age of context.main.querySelectorAll<HTMLElement>("[data-at]")) setAge(age, Number(age.dataset["at"]));
  });
  return "Connections";
}

function table(found: readonly api.Connection[]): HTMLElement {
  const newest = [...found].sort((a, b) => Date.parse(b.connectedAt) - Date.parse(a.connectedAt));
  const head = h("tr", {}, ...["Connection", "Address", "Open since", "Client"].map((name) => h("th", { scope: "col" }, name)));
  return h("table", { class: "plain" }, h("thead", {}, head), h("tbody", {}, ...newest.map(row)));
}

function row(connection: api.Connection): HTMLElement {
  const at = Date.parse(connection.connectedAt);
  const age = h("span", { class: "muted", "data-at": at });
  setAge(age, at);
  return h(
    "tr",
    {},
    h("td", { "data-label": "Connection" }, h("code", {}, connection.connectionId)),
    h("td", { "data-label": "Address" }, connection.sourceIp ?? "–"),
    h("td", { "data-label": "Open since" }, timeElement(at), " · ", age),
    h("td", { "data-label": "Client", class: "agent", title: connection.userAgent ?? "" }, connection.userAgent ?? "–"),
  );
}
