import { expect, it } from "vitest";
import { devicePath, editPath, letterPath, routeOf, rulePath } from "../src/router";
import { tar } from "../src/tar";
import { unitOf } from "../src/units";

it("every page is a URL", () => {
  expect(routeOf("/")).toEqual({ page: "fleet" });
  expect(routeOf("/rules")).toEqual({ page: "rules" });
  expect(routeOf("/nope")).toEqual({ page: "missing" });
  expect(routeOf("/devices/%")).toEqual({ page: "missing" });
});

it.each(["MyDevice001", "<b>x</b>", "a/b c?d#e", "Ünï·☂"])("the page of %s is found by its path", (name) => {
  expect(routeOf(devicePath(name))).toEqual({ page: "device", name });
});

it.each(["SendToLambdaRule", "new", "edit", "a/edit", "<b>x</b>"])("the pages of the rule %s are found by their paths", (name) => {
  expect(routeOf(rulePath(name))).toEqual({ page: "rule", name });
  expect(routeOf(editPath(name))).toEqual({ page: "editRule", name });
});

it("the pages of rules and dead letters are URLs", () => {
  expect(routeOf("/rules/new")).toEqual({ page: "newRule" });
  expect(routeOf("/dead-letters")).toEqual({ page: "deadLetters" });
  expect(routeOf(letterPath(7))).toEqual({ page: "deadLetter", id: 7 });
  expect(routeOf("/dead-letters/x")).toEqual({ page: "missing" });
  expect(routeOf("/rules/%")).toEqual({ page: "missing" });
});

it("units come from names only", () => {
  expect(["temperature", "humidity", "pressure_bar", "in.flow_rpm", "voltage", "constructor", "x_toString", "_c"].map(unitOf)).toEqual(["°", "%", "bar", "rpm", "", "", "", ""]);
});

it("packs files with their modes into an archive", () => {
  const archive = tar("d", [{ name: "k", text: "secret", mode: 0o600 }], 1_000_000);
  const text = (from: number, to: number) => new TextDecoder().decode(archive.slice(from, to)).replace(/\0+$/, "");
  expect(archive.length).toBe(512 * 5);
  expect(text(0, 100)).toBe("d/");
  expect(text(512, 612)).toBe("d/k");
  expect(text(612, 620)).toBe("0000600");
  expect(text(512 + 124, 512 + 136)).toBe("00000000006");
  expect(text(512 + 257, 512 + 263)).toBe("ustar");
  expect(text(1024, 1030)).toBe("secret");
  const header = archive.slice(512, 1024);
  const told = parseInt(text(512 + 148, 512 + 154), 8);
  header.fill(32, 148, 156);
  expect(header.reduce((sum, byte) => sum + byte, 0)).toBe(told);
});

it("refuses names that the archive cannot hold", () => {
  expect(() => tar("d".repeat(100), [], 0)).toThrow(RangeError);
});
