import { expect, it } from "vitest";
import { taskPayload } from "../src/ruleapi";

it.each([
  ["an entry of a rule's action", '{"rule":"R","message":{"Topic":"a","Payload":"e30="}}', "e30="],
  ["an entry without a message", '{"rule":"R"}', undefined],
  ["an entry whose message has no payload", '{"message":{"Payload":null}}', undefined],
  ["a body that is not JSON", "broken", undefined],
  ["a body that is null", "null", undefined],
  ["a body that is not text", undefined, undefined],
])("the payload of %s", (_, body, payload) => {
  expect(taskPayload(body)).toBe(payload);
});
