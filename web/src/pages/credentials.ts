// The files of a new device, how to run it, and word of its first reading.

import type { NewThing } from "../api";
import { h, fill } from "../dom";
import type { Feed } from "../feed";
import { command, glyph, shell, timeElement } from "../parts";
import { devicePath } from "../router";
import type { Scope } from "../signal";
import { tar } from "../tar";

const PRIVATE = "private.pem.key";

/** Shows the three steps from a created thing to its first reading. */
export function credentials(thing: NewThing, feed: Feed, scope: Scope, at: number): HTMLElement {
  const name = thing.thingName;
  const folder = name.replaceAll(":", "_").slice(0, 64);
  const files = Object.entries(thing.files);
  const archive = tar(folder, files.map(([file, text]) => ({ name: file, text, mode: file === PRIVATE ? 0o600 : 0o644 })), at);
  const all = download(scope, `${folder}.tar`, new Blob([archive], { type: "application/x-tar" }), `Download ${folder}.tar`);
  all.className = "button primary";
  const single = files.map(([file, text]) => h("li", {}, download(scope, file, new Blob([text], { type: "application/x-pem-file" }), file)));
  return h(
    "div",
    { class: "steps" },
    h("h2", { tabindex: "-1" }, `${name} is created`),
    h("p", { class: "muted" }, `Its certificate is active and the policy ${thing.policy} is attached.`),
    h(
      "ol",
      {},
      h("li", {}, h("h3", {}, "Download its files now"), h("p", {}, "The private key is not kept by the server: this is the only time it can be had."), h("p", {}, all), h("p", { class: "muted" }, "or one by one:"), h("ul", { class: "files" }, ...single)),
      h("li", {}, h("h3", {}, "Run the device"), h("p", {}, "In the folder of the download:"), command(`tar xf ${shell(`${folder}.tar`)}\n${thing.command}`, "the commands")),
      h("li", {}, h("h3", {}, "Its first reading"), firstReading(name, feed, scope)),
    ),
  );
}

function firstReading(name: string, feed: Feed, scope: Scope): HTMLElement {
  const text = h("p", { class: "state", role: "status" }, glyph("never"), "waiting for the first reading…");
  const stop = feed.fleet.listen((device, reading) => {
    if (device.name !== name) return;
    stop();
    fill(text, glyph("online"), h("span", {}, "received at ", timeElement(reading.time), " · ", h("a", { href: devicePath(name) }, `Open ${name}`)));
  });
  scope.add(stop);
  return text;
}

function download(scope: Scope, file: string, blob: Blob, label: string): HTMLAnchorElement {
  const url = URL.createObjectURL(blob);
  scope.add(() => URL.revokeObjectURL(url));
  return h("a", { href: url, download: file }, label);
}
