// The frame around every page: header, connection state, footer.

import { logout } from "./api";
import { now } from "./clock";
import { fill, h, setText } from "./dom";
import type { Feed } from "./feed";
import { rateText } from "./rate";
import { setTheme, type Theme, theme } from "./theme";
import { clock } from "./time";
import type { Route } from "./router";

const LINKS: ReadonlyArray<readonly [Route["page"], string, string]> = [
  ["fleet", "/", "Devices"],
  ["rules", "/rules", "Rules"],
  ["connections", "/connections", "Connections"],
  ["deadLetters", "/dead-letters", "Dead letters"],
  ["add", "/add", "Add device"],
];

/** The pages that are part of what a link leads to. */
const WITHIN: Partial<Record<Route["page"], Route["page"]>> = { device: "fleet", rule: "rules", newRule: "rules", editRule: "rules", deadLetter: "deadLetters" };

export interface Shell {
  readonly main: HTMLElement;
  /** Marks the page that is shown. */
  mark(page: Route["page"]): void;
}

/** Builds the frame into the body. */
export function shell(feed: Feed): Shell {
  const main = h("main", { id: "main", tabindex: "-1" });
  const links = LINKS.map(([page, path, label]) => ({ page, link: h("a", { href: path }, label, page === "deadLetters" && deadLetters(feed)) }));
  const top = h(
    "div",
    { class: "top" },
    h(
      "header",
      { class: "bar" },
      h("a", { href: "/", class: "brand" }, "Fieldline"),
      h("nav", { "aria-label": "Pages" }, ...links.map(({ link }) => link)),
      h("div", { class: "status" }, connection(feed), rate(feed), themeSwitch()),
    ),
    reconnecting(feed),
  );
  document.body.append(skipLink(main), top, main, footer(feed));
  new ResizeObserver(() => document.documentElement.style.setProperty("--top", `${top.offsetHeight}px`)).observe(top);
  return {
    main,
    mark(page) {
      for (const { page: own, link } of links) {
        if (own === page || own === WITHIN[page]) link.setAttribute("aria-current", own === page ? "page" : "true");
        else link.removeAttribute("aria-current");
      }
    },
  };
}

function skipLink(main: HTMLElement): HTMLElement {
  const link = h("a", { href: "#main", class: "skip" }, "Skip to the content");
  link.addEventListener("click", (event) => {
    event.preventDefault(); // a fragment in the URL would be a page of its own
    main.focus();
  });
  return link;
}

/** How many dead letters there are, when there are any. */
function deadLetters(feed: Feed): HTMLElement {
  const badge = h("span", { class: "badge" });
  const show = (count: number) => {
    badge.hidden = count === 0;
    setText(badge, count.toLocaleString());
  };
  feed.deadLetters.listen(show);
  show(feed.deadLetters.get());
  return badge;
}

function connection(feed: Feed): HTMLElement {
  const mark = h("span", { class: "glyph never", "aria-hidden": "true" });
  const word = h("span", {});
  feed.live.state.listen(show);
  feed.loading.listen(show);
  show();
  return h("span", { class: "live" }, mark, word);

  function show(): void {
    const kind = feed.live.state.get().kind;
    mark.className = `glyph ${kind === "live" ? "online" : kind === "lost" ? "quiet" : "never"}`;
    const waiting = feed.loading.get().kind === "failed" ? "Offline" : "Connecting";
    setText(word, kind === "live" ? "Live" : kind === "lost" ? "Reconnecting" : waiting);
  }
}

function rate(feed: Feed): HTMLElement {
  const text = h("span", { class: "rate", title: "Readings that arrive here, over the last ten seconds" });
  const show = () => setText(text, feed.live.state.get().kind === "live" ? rateText(feed.rate.perSecond(now())) : "– msg/s");
  setInterval(show, 1000);
  feed.live.state.listen(show);
  show();
  return text;
}

/** The bar that says from when the data is while there is no connection; changes are read aloud. */
function reconnecting(feed: Feed): HTMLElement {
  const text = h("span", {});
  const aloud = h("span", { class: "sr", role: "status" }); // always there: what appears together with its text is not read
  const bar = h("div", { class: "lost-bar" }, text, h("button", { type: "button", onclick: () => feed.live.retry() }, "Try now"));
  let before = feed.live.state.get().kind;
  const show = () => {
    const state = feed.live.state.get();
    bar.classList.toggle("shown", state.kind === "lost");
    document.body.classList.toggle("lost", state.kind === "lost");
    if (state.kind === "lost") {
      const upTo = feed.upTo();
      setText(text, upTo === undefined ? "Connecting… no data yet" : `Reconnecting… showing data up to ${clock(upTo, now())}`);
      if (before !== "lost") setText(aloud, text.textContent ?? "");
    } else setText(aloud, before === "lost" ? "Connected again" : "");
    before = state.kind;
  };
  feed.live.state.listen(show);
  feed.fleet.list.listen(show);
  show();
  return h("div", {}, aloud, bar);
}

function themeSwitch(): HTMLElement {
  const choices: Theme[] = ["system", "light", "dark"];
  const select = h("select", { "aria-label": "Theme" }, ...choices.map((choice) => h("option", { value: choice }, choice[0]!.toUpperCase() + choice.slice(1))));
  select.value = theme();
  select.addEventListener("change", () => setTheme(select.value as Theme));
  return h("label", { class: "theme" }, h("span", {}, "Theme"), select);
}

function footer(feed: Feed): HTMLElement {
  const foot = h("footer", { class: "foot" });
  const show = () => {
    const session = feed.session.get();
    if (!session) return fill(foot);
    const leave = h("button", { type: "button", class: "quiet-button", onclick: () => void signOut(feed) }, "Log out");
    fill(
      foot,
      h("span", {}, `Fieldline ${session.version}`),
      h("span", {}, `${session.region} · ${session.account}`),
      h("span", {}, session.operator ? "Operator" : "Not logged in"),
      session.operator && leave,
    );
  };
  feed.session.listen(show);
  show();
  return foot;
}

async function signOut(feed: Feed): Promise<void> {
  try {
    await logout(feed.session.get()?.csrf ?? "");
  } finally {
    await feed.refreshSession();
  }
}
