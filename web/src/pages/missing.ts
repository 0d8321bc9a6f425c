import type { Context } from "../context";
import { h } from "../dom";
import { heading } from "../parts";

/** Says that a URL is none of ours. */
export function missingPage({ main }: Context): string {
  main.append(h("div", { class: "head" }, heading("No such page")), h("p", {}, "There is nothing at this address. ", h("a", { href: "/" }, "Go to the devices"), "."));
  return "No such page";
}
