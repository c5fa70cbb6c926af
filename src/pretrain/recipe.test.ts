import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { checkMade } from "./recipe.js";

it("names the command that makes a missing policy, and says nothing of others", () => {
  const root = mkdtempSync(join(tmpdir(), "siri-recipe-"));
  expect(() => checkMade(join(root, "alfworld-tiny"))).toThrow(/npm run pretrain -- --env alfworld/);
  expect(() => checkMade(join(root, "mine"))).not.toThrow();
  writeFileSync(join(root, "config.json"), "{}");
  expect(() => checkMade(root)).not.toThrow();
  rmSync(root, { recursive: true });
});
