import { expect, it } from "vitest";
import { levels } from "../src/axis";

it.each([
  [[2.5, 3, 3.5], ["2.5", "3.0", "3.5"]],
  [[170, 180], ["170", "180"]],
  [[-0.05, 0, 0.05], ["-0.05", "0.00", "0.05"]],
  [[0, 1e21], ["0", "1e+21"]],
  [[], []],
])("the axis numbers of %j are alike", (splits, texts) => {
  expect(levels(splits)).toEqual(texts);
});
