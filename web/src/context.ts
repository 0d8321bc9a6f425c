import type { Feed } from "./feed";
import type { Router } from "./router";
import type { Scope } from "./signal";

/** What a page is given. A page is a function that fills `main` and returns its title. */
export interface Context {
  readonly feed: Feed;
  readonly router: Router;
  /** Where the page puts itself. */
  readonly main: HTMLElement;
  /** Ends when the page is left. */
  readonly scope: Scope;
  /** Whether the visitor returns to the page, rather than opens it. */
  readonly back: boolean;
}
