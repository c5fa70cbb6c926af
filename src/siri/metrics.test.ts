import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { METRICS } from "./metrics.js";

it("has every name in docs/method.md, with its meaning", () => {
  const page = readFileSync(new URL("../../docs/method.md", import.meta.url), "utf8");
  const table = page.slice(page.indexOf("| name | meaning |")).trim().split("\n").slice(2);
  expect(table).toEqual(Object.entries(METRICS).map(([name, meaning]) => `| \`${name}\` | ${meaning} |`));
});
