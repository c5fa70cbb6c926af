import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { environmentNames, loadEnvironment } from "./registry.js";

const folder = mkdtempSync(join(tmpdir(), "siri-registry-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

let files = 0;
function moduleFile(source: string): string {
  const path = join(folder, `environment-${files++}.mjs`);
  writeFileSync(path, source);
  return path;
}

const PARTS = `name: "own", splits: ["train", "test"], evalSplits: ["test"], tasks: () => ({ length: 0 }), create: () => ({})`;
const refused = (message: RegExp) =>
  expect.objectContaining({ name: "SiriError", code: "CONFIG_ENVIRONMENT", message: expect.stringMatching(message) });

describe("environments by name", () => {
  it("are the registered ones", async () => {
    expect(environmentNames).toEqual(expect.arrayContaining(["alfworld", "household"]));
    for (const name of environmentNames) expect((await loadEnvironment({ name })).name).toBe(name);
  });

  it("get their options", async () => {
    await expect(loadEnvironment({ name: "alfworld", options: { folder: "x" } })).rejects.toThrowError(/alfworld options/);
  });

  it("that nobody registered are refused with the list of those that are", async () => {
    await expect(loadEnvironment({ name: "alfwrold" })).rejects.toEqual(
      refused(/unknown environment 'alfwrold'; there are alfworld, household/),
    );
    await expect(loadEnvironment({ name: "toString" })).rejects.toEqual(refused(/unknown environment/));
    await expect(loadEnvironment({})).rejects.toEqual(refused(/give a name/));
  });
});

describe("environments of one's own", () => {
  it("are modules whose default export is an environment, by path", async () => {
    const path = moduleFile(`export default { ${PARTS} };`);
    expect((await loadEnvironment({ module: path })).name).toBe("own");
    expect((await loadEnvironment({ name: path })).name).toBe("own");
    expect((await loadEnvironment({ module: relative(process.cwd(), path) })).name).toBe("own");
  });

  it("or functions of the options, which may be asynchronous", async () => {
    const path = moduleFile(`export default async (options) => ({ ${PARTS}, name: options.called });`);
    expect((await loadEnvironment({ module: path, options: { called: "mine" } })).name).toBe("mine");
  });

  it.each<[string, string, RegExp]>([
    ["no default export", `export const environment = {};`, /has no default export/],
    ["nothing made", `export default () => null;`, /gives null, not an environment/],
    ["parts missing", `export default { name: "own", splits: ["train"] };`, /evalSplits \(.*\), tasks \(.*\), create \(.*\)$/],
    ["a nameless one", `export default { ${PARTS}, name: "" };`, /wrong kind: name \(a text\)$/],
    ["no training split", `export default { ${PARTS}, splits: ["test"] };`, /'train' must be among its splits, which are test/],
    ["a strange evaluation split", `export default { ${PARTS}, evalSplits: ["final"] };`, /evaluation split 'final' is not among/],
    ["broken source", `export default {`, /cannot be loaded/],
  ])("are refused with %s", async (_, source, message) => {
    await expect(loadEnvironment({ module: moduleFile(source) })).rejects.toEqual(refused(message));
  });

  it("that are not there are refused with their path", async () => {
    await expect(loadEnvironment({ module: "./nowhere.mjs" })).rejects.toEqual(refused(/'\.\/nowhere\.mjs' cannot be loaded/));
  });
});
