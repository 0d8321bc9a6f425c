import "uplot/dist/uPlot.min.css";
import "./style/base.css";
import "./style/fleet.css";
import "./style/pages.css";
import "./style/rules.css";
import "./style/traces.css";
import "./style/editor.css";
import type { Context } from "./context";
import { Feed } from "./feed";
import { addPage } from "./pages/add";
import { connectionsPage } from "./pages/connections";
import { deadLettersPage } from "./pages/deadletters";
import { devicePage } from "./pages/device";
import { editorPage } from "./pages/editor";
import { fleetPage } from "./pages/fleet";
import { letterPage } from "./pages/letter";
import { missingPage } from "./pages/missing";
import { rulePage } from "./pages/rule";
import { rulesPage } from "./pages/rules";
import { type Route, Router } from "./router";
import { shell } from "./shell";
import { Scope } from "./signal";

const feed = new Feed();
const frame = shell(feed);
let scope = new Scope();
let shown: Route | undefined;

const router = new Router((route, back) => {
  scope.close();
  scope = new Scope();
  frame.main.replaceChildren();
  frame.mark(route.page);
  const title = render(route, { feed, router, main: frame.main, scope, backFrom: back ? shown : undefined });
  document.title = `${title} · Fieldline`;
  if (shown && !frame.main.contains(document.activeElement)) frame.main.querySelector("h1")?.focus({ preventScroll: true });
  shown = route;
});

function render(route: Route, context: Context): string {
  switch (route.page) {
    case "fleet":
      return fleetPage(context);
    case "device":
      return devicePage(context, route.name);
    case "rules":
      return rulesPage(context);
    case "rule":
      return rulePage(context, route.name);
    case "newRule":
      return editorPage(context);
    case "editRule":
      return editorPage(context, route.name);
    case "deadLetters":
      return deadLettersPage(context);
    case "deadLetter":
      return letterPage(context, route.id);
    case "connections":
      return connectionsPage(context);
    case "add":
      return addPage(context);
    case "missing":
      return missingPage(context);
  }
}

addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
  const typing = event.target instanceof HTMLElement && event.target.matches("input, select, textarea");
  if (event.key === "/" && !typing) {
    event.preventDefault();
    if (location.pathname !== "/") router.go("/");
    frame.main.querySelector<HTMLInputElement>("input[type=search]")?.focus();
  } else if (event.key === "Escape" && !typing) {
    router.back();
  }
});

feed.start();
router.start();
