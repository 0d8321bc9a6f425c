// Which page a URL is, and moving between them without loading anew.

export type Route =
  | { readonly page: "fleet" }
  | { readonly page: "device"; readonly name: string }
  | { readonly page: "rules" }
  | { readonly page: "rule"; readonly name: string }
  | { readonly page: "newRule" }
  | { readonly page: "editRule"; readonly name: string }
  | { readonly page: "deadLetters" }
  | { readonly page: "deadLetter"; readonly id: number }
  | { readonly page: "connections" }
  | { readonly page: "add" }
  | { readonly page: "missing" };

const DEVICE = "/devices/";
const RULE = "/rules/";
const EDIT = "/edit";
const LETTER = "/dead-letters/";

/** Reads the path of a URL. */
export function routeOf(path: string): Route {
  if (path === "/rules/new") return { page: "newRule" };
  try {
    return namedRoute(path) ?? plainRoute(path);
  } catch {
    return { page: "missing" }; // not a path that a page writes
  }
}

function namedRoute(path: string): Route | undefined {
  const after = (prefix: string) => (path.startsWith(prefix) && path.length > prefix.length ? path.slice(prefix.length) : undefined);
  const device = after(DEVICE);
  if (device) return { page: "device", name: decodeURIComponent(device) };
  const rule = after(RULE);
  if (rule?.endsWith(EDIT) && rule.length > EDIT.length) return { page: "editRule", name: decodeURIComponent(rule.slice(0, -EDIT.length)) };
  if (rule) return { page: "rule", name: decodeURIComponent(rule) };
  const letter = after(LETTER);
  if (letter) return /^[1-9][0-9]{0,15}$/.test(letter) ? { page: "deadLetter", id: Number(letter) } : { page: "missing" };
  return undefined;
}

function plainRoute(path: string): Route {
  switch (path) {
    case "/":
    case "/devices":
      return { page: "fleet" };
    case "/rules":
      return { page: "rules" };
    case "/dead-letters":
      return { page: "deadLetters" };
    case "/connections":
      return { page: "connections" };
    case "/add":
      return { page: "add" };
    default:
      return { page: "missing" };
  }
}

/** The path of a device's page. */
export function devicePath(name: string): string {
  return DEVICE + encodeURIComponent(name);
}

/** The path of a rule's page. */
export function rulePath(name: string): string {
  return RULE + (name === "new" ? "%6Eew" : encodeURIComponent(name)); // /rules/new makes a new one
}

/** The path of the page that edits a rule. */
export function editPath(name: string): string {
  return rulePath(name) + EDIT;
}

/** The path of a dead letter's page. */
export function letterPath(id: number): string {
  return LETTER + id;
}

interface Entry {
  /** How far the page was scrolled when it was left. */
  readonly y: number;
  /** Whether the entry before this one is a page of ours. */
  readonly inside: boolean;
}

export class Router {
  #show: (route: Route, back: boolean) => void;

  /** show renders a route; back is true when the visitor returns to it. */
  constructor(show: (route: Route, back: boolean) => void) {
    this.#show = show;
    history.scrollRestoration = "manual";
    addEventListener("popstate", () => this.#render(true));
    addEventListener("pagehide", () => this.#remember());
    document.addEventListener("click", (event) => this.#click(event));
  }

  start(): void {
    this.#render(true);
  }

  /** Opens a path of ours. */
  go(path: string): void {
    this.#remember();
    history.pushState({ y: 0, inside: true } satisfies Entry, "", path);
    this.#render(false);
  }

  /** Goes back to where the visitor came from, or to the device list. */
  back(): void {
    if (entry().inside) history.back();
    else if (location.pathname !== "/") this.go("/");
  }

  #remember(): void {
    history.replaceState({ ...entry(), y: scrollY } satisfies Entry, "");
  }

  #render(back: boolean): void {
    const { y } = entry();
    scrollTo(0, 0);
    this.#show(routeOf(location.pathname), back);
    if (back) scrollTo(0, y);
  }

  #click(event: MouseEvent): void {
    if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    const link = event.target instanceof Element ? event.target.closest("a") : null;
    if (!link || link.target || link.hasAttribute("download") || link.origin !== location.origin) return;
    if (link.hash || link.pathname.startsWith("/login")) return;
    event.preventDefault();
    this.go(link.pathname + link.search);
  }
}

/** A parameter of the present URL. */
export function parameter(name: string): string {
  return new URLSearchParams(location.search).get(name) ?? "";
}

/** Sets a parameter of the present URL; "" removes it. The page stays. */
export function setParameter(name: string, value: string): void {
  const url = new URL(location.href);
  if (value) url.searchParams.set(name, value);
  else url.searchParams.delete(name);
  history.replaceState(history.state, "", url);
}

function entry(): Entry {
  return (history.state as Entry | null) ?? { y: 0, inside: false };
}
