import { now } from "../clock";
import type { Device, DeviceState } from "../store";
import { age, clock, duration, MINUTE } from "../time";

/** A device's state in words: "online since 09:12:40 from 10.0.3.7", "quiet for 6 min: usually every 5 s". */
export function stateWords(device: Device, state: DeviceState, at: number): string {
  if (state === "never") return "never seen: no reading yet, and not connected";
  return [main(device, state, at), behind(device)].filter(Boolean).join(" · ");
}

function main(device: Device, state: DeviceState, at: number): string {
  const { connected, heard, goneAt, interval } = device;
  if (state === "quiet") {
    const usual = interval === undefined ? "" : `: usually every ${duration(interval)}`;
    const gone = goneAt === undefined ? "" : `, disconnected ${age(goneAt, now())}`;
    return `quiet for ${duration(at - (heard ?? at))}${usual}${gone}`;
  }
  if (!connected) return "online: readings arrive, without an MQTT connection of its own";
  const words = `online since ${clock(connected.since, now())}${connected.source ? ` from ${host(connected.source)}` : ""}`;
  return heard === undefined ? `${words}, no reading yet` : words;
}

/** Says when a device's readings bear times far behind their arrival. */
function behind({ heard, last }: Device): string {
  if (heard === undefined || !last || heard - last.time < MINUTE) return "";
  return `its readings are dated ${duration(heard - last.time)} before they arrive`;
}

/** The address without its port. */
function host(source: string): string {
  const cut = source.lastIndexOf(":");
  return (cut > 0 ? source.slice(0, cut) : source).replace(/^\[|\]$/g, "");
}
