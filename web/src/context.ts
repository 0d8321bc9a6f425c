import type { Feed } from "./feed";
import type { Route, Router } from "./router";
import type { Scope } from "./signal";

/** What a page is given. A page is a function that fills `main` and returns its title. */
export interface Context {
  readonly feed: Feed;
  readonly router: Router;
  /** Where the page puts itself. */
  readonly main: HTMLElement;
  /** Ends when the page is left. */
  readonly scope: Scope;
  /** The page that was left for this one, when the visitor came back from it. */
  readonly backFrom: Route | undefined;
}
