// How a device connects: where to, as whom, and commands that do it.

import type { Certificate, DeviceInfo, Session } from "../api";
import { now } from "../clock";
import { type Child, h } from "../dom";
import { command, glyph, shell } from "../parts";
import { DAY, day, duration, iso } from "../time";

/** When a certificate's end is near enough to say so. */
const SOON = 30 * DAY;

/** Describes a device's certificates, policies and topic, and how to publish as it. */
export function howToConnect(name: string, info: DeviceInfo | undefined, session: Session | undefined): HTMLElement {
  const section = h("section", { class: "connect", "aria-label": "How this device connects" }, h("div", { class: "section-head" }, h("h2", {}, "How this device connects")));
  const topic = info?.topic ?? session?.topic ?? "";
  section.append(
    h(
      "dl",
      { class: "facts" },
      ...fact("Certificate", ...certificates(info)),
      ...fact("Policy", (info?.policies ?? []).join(", ") || "none attached"),
      ...fact("Topic", h("code", {}, topic || "–")),
      ...fact("Endpoint", h("code", {}, session ? `${session.device.host}:${session.device.port}` : "–")),
    ),
  );
  if (!session || !topic) return section;
  if (info?.thing === false) section.append(h("p", { class: "muted" }, "No thing has this name: another client sends its readings."));
  else section.append(...asDevice(name, topic, session));
  section.append(
    h("p", { class: "muted" }, "Read its latest item:"),
    command(`curl ${shell(`${session.gateway}/prod/iotdata?device_id=${encodeURIComponent(name)}`)}`, "the command that reads"),
  );
  return section;
}

function asDevice(name: string, topic: string, session: Session): HTMLElement[] {
  return [
    h("p", { class: "muted" }, "Run as this device, in the folder that holds its files:"),
    command(deviceCommand(name, session), "the command that runs the device"),
    h("p", { class: "muted" }, "Publish one message as it, with mosquitto:"),
    command(publishCommand(name, topic, session), "the command that publishes"),
  ];
}

function deviceCommand(name: string, { device }: Session): string {
  return `fieldline device --endpoint ${device.host}:${device.port} --name ${shell(name)} --certs .`;
}

function publishCommand(name: string, topic: string, { device }: Session): string {
  const message = JSON.stringify({ device_id: name, temperature: 24.85, humidity: 43.1 });
  return [
    `mosquitto_pub -h ${device.host} -p ${device.port} -i ${shell(name)} -q 1 -t ${shell(topic)}`,
    "  --cafile AmazonRootCA1.pem --cert certificate.pem.crt --key private.pem.key",
    `  -m ${shell(message)}`,
  ].join(" \\\n");
}

function certificates(info: DeviceInfo | undefined): Child[] {
  if (!info) return ["…"];
  if (!info.certificates.length) return ["none attached"];
  return info.certificates.map((certificate) => {
    const id = h("code", { title: certificate.id }, `${certificate.id.slice(0, 12)}…`);
    return h("span", { class: "certificate" }, certificateWords(certificate), " ", id);
  });
}

/** What is to be known of a certificate at a glance: its state when it is not active, and when it ends. */
export function certificateWords({ status, notAfter }: Certificate, prefix = ""): HTMLElement {
  const left = notAfter - now();
  const state = status === "ACTIVE" ? "" : `${status.toLowerCase()}, `;
  const ends = left < 0 ? `expired ${day(notAfter)}` : `expires ${day(notAfter)}${left < SOON ? `, in ${duration(left)}` : ""}`;
  const bad = left < SOON || state !== "";
  return h("span", { class: bad ? "alarm-text" : "", title: iso(notAfter) }, bad && glyph("alarm"), prefix + state + ends);
}

function fact(term: string, ...values: Child[]): HTMLElement[] {
  return [h("dt", {}, term), h("dd", {}, ...values)];
}
