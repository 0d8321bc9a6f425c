// The device list.

import type { Context } from "../context";
import { fill, h, setText } from "../dom";
import type { Feed } from "../feed";
import { perFrame } from "../frame";
import { command, failure, glyph, heading, notice } from "../parts";
import { parameter, setParameter } from "../router";
import { type Device, type DeviceState, stateOf } from "../store";
import { FleetList } from "./fleetlist";

const WORDS: ReadonlyArray<readonly [DeviceState, string]> = [
  ["online", "online"],
  ["quiet", "quiet"],
  ["never", "never seen"],
];

/** Shows every device, live. The filters are the URL's q and state. */
export function fleetPage(context: Context): string {
  const { feed, main, scope } = context;
  const total = h("span", { class: "count" });
  const filters = WORDS.map(([state, word]) => filterButton(state, word, () => update()));
  const find = h("input", { type: "search", placeholder: "Find…  /", "aria-label": "Find devices by name", autocomplete: "off", spellcheck: "false" });
  find.value = parameter("q");
  const list = new FleetList(feed, scope);
  const place = h("div", { class: "fleet" });
  main.append(
    h("div", { class: "head" }, heading("Devices"), total, h("div", { class: "summary", role: "group", "aria-label": "Filter by state" }, ...filters.map(({ button }) => button)), find),
    place,
  );

  const frame = perFrame(() => update());
  scope.add(frame.cancel);
  scope.watch(feed.fleet.list, frame.ask);
  scope.watch(feed.fleet.presence, frame.ask);
  scope.watch(feed.loading, frame.ask);
  scope.watch(feed.live.state, frame.ask);
  scope.every(1000, () => update());
  scope.on(find, "input", () => {
    setParameter("q", find.value);
    update();
  });
  scope.on<KeyboardEvent>(find, "keydown", (event) => {
    if (event.key === "ArrowDown") list.focus(0);
    else if (event.key === "Enter") list.open(context.router);
    else if (event.key === "Escape") clear();
    else return;
    event.preventDefault();
  });
  update();
  if (context.backFrom?.page === "device") list.select(context.backFrom.name);

  function clear(): void {
    if (find.value === "") find.blur();
    find.value = "";
    setParameter("q", "");
    update();
  }

  function update(): void {
    const at = feed.asOf();
    const counts = { online: 0, quiet: 0, never: 0 };
    const wanted = parameter("state");
    const words = find.value.trim().toLowerCase();
    const shown: Device[] = [];
    for (const device of feed.fleet.sorted()) {
      const state = stateOf(device, at);
      counts[state]++;
      if (wanted && state !== wanted) continue;
      if (words && !device.name.toLowerCase().includes(words)) continue;
      shown.push(device);
    }
    const known = feed.loading.get().kind === "ready" || feed.fleet.size > 0;
    setText(total, known ? feed.fleet.size.toLocaleString() : "–");
    for (const filter of filters) filter.show(known ? counts[filter.state].toLocaleString() : "–");
    show(place, list, instead(feed, shown.length, find.value, reset));
    list.show(shown);
  }

  function reset(): void {
    setParameter("state", "");
    clear();
  }
  return "Devices";
}

/** A count that is also a filter: pressed, it shows only the devices of that state. */
function filterButton(state: DeviceState, word: string, changed: () => void) {
  const text = h("span", {});
  const button = h("button", { type: "button", class: "filter", title: `Show only these` }, glyph(state), text);
  button.addEventListener("click", () => {
    setParameter("state", parameter("state") === state ? "" : state);
    changed();
  });
  return {
    state,
    button,
    show(count: string): void {
      setText(text, `${count} ${word}`);
      button.setAttribute("aria-pressed", String(parameter("state") === state));
    },
  };
}

/** Puts the list, or what stands in its place, on the page. */
function show(place: HTMLElement, list: FleetList, other: { key: string; make: () => HTMLElement } | undefined): void {
  const key = other?.key ?? "list";
  if (place.dataset["shows"] === key) return;
  place.dataset["shows"] = key;
  fill(place, other ? other.make() : list.element);
}

function instead(feed: Feed, shown: number, words: string, reset: () => void): { key: string; make: () => HTMLElement } | undefined {
  const loading = feed.loading.get();
  if (shown || loading.kind === "loading") return undefined;
  if (loading.kind === "failed") {
    return { key: loading.error.message, make: () => failure("The devices could not be loaded", loading.error, () => void feed.list()) };
  }
  if (feed.fleet.size === 0) return { key: "empty", make: () => empty() };
  return {
    key: `none ${words}`,
    make: () =>
      notice(
        words ? `No device matches “${words}”` : "No device is in this state",
        h("p", {}, h("button", { type: "button", onclick: reset }, "Show all devices")),
      ),
  };
}

function empty(): HTMLElement {
  return notice(
    "No device yet",
    h("p", {}, "A device appears here as soon as it is created or its first reading arrives. Create one from the command line:"),
    command("fieldline thing create MyDevice001 --out MyDevice001", "the command"),
    h("p", {}, "or on the page ", h("a", { href: "/add" }, "Add device"), ", which also gives the command that runs it."),
  );
}
