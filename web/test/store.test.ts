import { describe, expect, it } from "vitest";
import type { DeviceInfo } from "../src/api";
import type { Reading } from "../src/reading";
import { Fleet, stateOf } from "../src/store";

const T = 1_800_000_000_000;

function reading(time: number, seq: number, device = "a"): Reading {
  return { device, time, seq, payload: `{"v":${seq}}` };
}

function info(name: string, change: Partial<DeviceInfo> = {}): DeviceInfo {
  return { name, thing: true, online: false, since: null, source: null, certificates: [], last: undefined, ...change };
}

describe("merging", () => {
  it("an older reading never replaces a newer one, whatever the way it came", () => {
    const fleet = new Fleet();
    fleet.take(reading(T + 5000, 2), T + 5000);
    fleet.take(reading(T, 3), T + 6000);
    fleet.describe([info("a", { last: reading(T - 5000, 1) })], T + 7000);
    expect(fleet.get("a")!.last!.seq).toBe(2);
  });

  it("at equal time the later arrival wins", () => {
    const fleet = new Fleet();
    fleet.take(reading(T, 2), T);
    fleet.take(reading(T, 1), T);
    expect(fleet.get("a")!.last!.seq).toBe(2);
  });

  it("a late reading is heard, though it is not the latest", () => {
    const fleet = new Fleet();
    fleet.take(reading(T, 1), T);
    fleet.take(reading(T - 60_000, 2), T + 40_000);
    expect(fleet.get("a")!.heard).toBe(T + 40_000);
  });

  it("every reading is told, late ones too", () => {
    const fleet = new Fleet();
    const told: number[] = [];
    fleet.listen((_device, { seq }) => told.push(seq));
    fleet.take(reading(T, 1), T);
    fleet.take(reading(T - 1, 2), T);
    expect(told).toEqual([1, 2]);
  });

  it("a complete list removes what it does not name", () => {
    const fleet = new Fleet();
    fleet.describe([info("a"), info("b")], T);
    fleet.keep(new Set(["b"]));
    expect(fleet.sorted().map((device) => device.name)).toEqual(["b"]);
  });

  it("names sort by the numbers in them", () => {
    const fleet = new Fleet();
    fleet.describe([info("pump-10"), info("pump-9"), info("Pump-1")], T);
    expect(fleet.sorted().map((device) => device.name)).toEqual(["Pump-1", "pump-9", "pump-10"]);
  });

  it("history fills the trend and keeps the newest reading", () => {
    const fleet = new Fleet();
    fleet.take(reading(T, 9), T);
    fleet.recall("a", [reading(T - 20_000, 1), reading(T - 10_000, 2)]);
    const device = fleet.get("a")!;
    expect(device.trend.map((point) => point.value)).toEqual([1, 2, 9]);
    expect(device.interval).toBe(10_000);
    expect(device.last!.seq).toBe(9);
  });
});

describe("state", () => {
  it("a thing without a reading was never seen, unless it is connected", () => {
    const fleet = new Fleet();
    fleet.describe([info("a")], T);
    expect(stateOf(fleet.get("a")!, T)).toBe("never");
    fleet.attend({ a: { since: T, source: "10.0.3.7:1" } }, T);
    expect(stateOf(fleet.get("a")!, T)).toBe("online");
  });

  it("silence of three usual intervals makes it quiet", () => {
    const fleet = new Fleet();
    for (let i = 0; i < 5; i++) fleet.take(reading(T + i * 20_000, i + 1), T + i * 20_000);
    const device = fleet.get("a")!;
    const last = T + 80_000;
    expect(stateOf(device, last + 60_000)).toBe("online");
    expect(stateOf(device, last + 60_001)).toBe("quiet");
  });

  it("a fast device still has 30 s", () => {
    const fleet = new Fleet();
    for (let i = 0; i < 5; i++) fleet.take(reading(T + i * 1000, i + 1), T + i * 1000);
    expect(stateOf(fleet.get("a")!, T + 4000 + 30_000)).toBe("online");
    expect(stateOf(fleet.get("a")!, T + 4000 + 30_001)).toBe("quiet");
  });

  it("a device that disconnects is quiet at once, and online again with its next reading", () => {
    const fleet = new Fleet();
    fleet.take(reading(T, 1), T);
    fleet.attend({ a: { since: T, source: "" } }, T);
    fleet.attend({}, T + 3000);
    expect(stateOf(fleet.get("a")!, T + 3000)).toBe("quiet");
    fleet.take(reading(T + 5000, 2), T + 5000);
    expect(stateOf(fleet.get("a")!, T + 5000)).toBe("online");
  });
});

it("readings caught up on after the device list still fill the trend and the rhythm", () => {
  const fleet = new Fleet();
  fleet.describe([info("a", { last: reading(T, 3) })], T);
  for (const seq of [1, 2, 3]) fleet.take(reading(T - (3 - seq) * 5000, seq), T);
  const device = fleet.get("a")!;
  expect(device.trend.map((point) => point.value)).toEqual([1, 2, 3]);
  expect(device.interval).toBe(5000);
  expect(device.last!.seq).toBe(3);
});
