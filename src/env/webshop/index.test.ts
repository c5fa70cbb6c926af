import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, afterEach, describe, expect, it, vi } from "vitest";
import { dataFolder, haveData } from "../../../test/webshop/data.js";
import { THOUSAND_FILES } from "../../../test/webshop/source.js";
import { offers } from "../environment.js";
import { loadEnvironment } from "../registry.js";
import webshop, { openWebshop, productsNamed } from "./index.js";

const item = (number: number, parts: object = {}) => ({
  asin: `B${String(number).padStart(9, "0")}`,
  name: `oak chair ${number}`,
  full_description: "a chair",
  small_description: ["four legs"],
  pricing: "$12.99",
  images: ["https://example.org/a.jpg"],
  product_category: "Home › Chairs",
  category: "garden",
  query: "Chairs",
  customization_options: { Color: [{ value: "Red", image: null }, { value: "Blue" }] },
  ...parts,
});
const items = [...Array.from({ length: 40 }, (_, i) => item(i)), item(40, { pricing: "free" }), { name: "no number" }];
const instructions = Object.fromEntries(
  items.flatMap((record) =>
    "asin" in record ? [[record.asin, { attributes: ["oak"], instruction: "Find me oak chairs", instruction_attributes: ["oak"] }]] : [],
  ),
);

const folder = mkdtempSync(join(tmpdir(), "siri-webshop-"));
writeFileSync(join(folder, "items_shuffle_1000.json.gz"), gzipSync(JSON.stringify(items)));
writeFileSync(join(folder, "items_ins_v2_1000.json"), JSON.stringify(instructions));
writeFileSync(join(folder, "nouns.json"), JSON.stringify(Object.fromEntries(items.map(({ name }) => [name, ["oak", "chair"]]))));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
afterEach(() => vi.unstubAllEnvs());

const code = (name: string) => expect.objectContaining({ code: name });

describe("webshop", () => {
  it("plays a folder of data files, told by option or variable", async () => {
    vi.stubEnv("WEBSHOP_DATA", folder);
    const byVariable = await loadEnvironment({ name: "webshop" });
    const byOption = await loadEnvironment({ name: "webshop", options: { data: folder, nouns: join(folder, "nouns.json") } });
    const tasks = await byOption.tasks("train");
    expect(await byVariable.tasks("train")).toMatchObject({ length: tasks.length });
    const environment = await byOption.create();
    for (let i = 0; i < tasks.length; i++) {
      const task = tasks.at(i);
      expect(task).toMatchObject({ split: "train", type: "garden" });
      const first = await environment.reset(task);
      const colour = /color: (red|blue)/.exec(first.task)![1]!;
      let actions = first.actions!;
      for (const action of ["search[oak chair]", undefined, `click[${colour}]`, "click[buy now]"]) {
        const asin = actions.find((offered) => /^click\[b\d+\]$/.test(offered));
        expect(offers(actions, action ?? asin!)).toBe(true);
        const result = await environment.step(action ?? asin!);
        actions = result.actions!;
        if (action === "click[buy now]") expect(result).toMatchObject({ done: true, success: true, reward: 10, score: 1 });
        else expect(result).toMatchObject({ done: false, reward: 0 });
      }
    }
  });

  it("tells of records that cannot be read", async () => {
    const { notes, stock } = await openWebshop({ data: folder, products: undefined, nouns: undefined });
    expect(stock.length).toBe(40);
    expect(notes).toEqual([expect.stringMatching(/^webshop: 2 records .*record 40 \(B000000040\).*"pricing".*record 41.*asin/)]);
    const module = webshop({ data: folder });
    expect((await module.tasks("train")).notes).toEqual(notes);
    expect((await webshop({ data: folder, products: 5 }).tasks("train")).notes).toEqual([]);
  });

  it("names what is missing, and can be asked again", async () => {
    vi.stubEnv("WEBSHOP_DATA", "");
    const module = webshop();
    await expect(module.tasks("train")).rejects.toThrowError(/WEBSHOP_DATA.*'data'.*--data.*items_shuffle_1000\.json/);
    await expect(module.create()).rejects.toThrowError(code("ENVIRONMENT_DATA"));
    vi.stubEnv("WEBSHOP_DATA", join(folder, "nowhere"));
    await expect(webshop().tasks("train")).rejects.toThrowError(code("WEBSHOP_DATA"));
    await expect(webshop({ data: folder, products: "all" }).tasks("train")).rejects.toThrowError(/items_shuffle\.json/);
    await expect(webshop({ data: folder, nouns: join(folder, "none.json") }).tasks("train")).rejects.toThrowError(code("WEBSHOP_NOUNS"));
    await expect(webshop({ data: folder, goals: "human" }).tasks("train")).rejects.toThrowError(code("WEBSHOP_GOALS"));
    await expect(webshop({ data: folder, split: "paper" }).tasks("train")).rejects.toThrowError(code("ENVIRONMENT_DATA"));
    const late = mkdtempSync(join(folder, "late-"));
    const patient = webshop({ data: late });
    await expect(patient.tasks("train")).rejects.toThrowError(code("WEBSHOP_DATA"));
    for (const file of ["items_shuffle_1000.json.gz", "items_ins_v2_1000.json"]) copyFileSync(join(folder, file), join(late, file));
    expect((await patient.tasks("train")).length).toBeGreaterThan(0);
  });

  it.each([
    [{ datas: "x" }],
    [{ goals: "all" }],
    [{ seed: 0.5 }],
    [{ prevObs: -1 }],
    [{ products: 0 }],
    [{ products: "10" }],
    [{ data: "" }],
    [{ split: "dev" }],
  ])("refuses the options %j", (options) => {
    expect(() => webshop(options as never)).toThrowError(code("CONFIG_ENVIRONMENT"));
  });

  it("reads --products", () => {
    expect([undefined, "1000", "all", "250"].map(productsNamed)).toEqual([undefined, "1000", "all", 250]);
    for (const text of ["", "0", "-1", "1e3", "2.5", "every"]) expect(() => productsNamed(text)).toThrowError(code("CONFIG_ENVIRONMENT"));
  });
});

describe.skipIf(!haveData(...THOUSAND_FILES))("the 1,000 products", () => {
  const lengths = async (options: Parameters<typeof webshop>[0]) => {
    const module = webshop({ data: dataFolder, ...options });
    return Object.fromEntries(await Promise.all(module.splits.map(async (split) => [split, (await module.tasks(split)).length])));
  };

  it("have 6,910 synthetic goals, parted in every scheme", async () => {
    expect(await lengths({})).toEqual({ test: 154, valid: 137, train: 5493 });
    expect(await lengths({ split: "verl", seed: 0 })).toEqual({ valid: 500, train: 6410 });
    expect(await lengths({ split: "paper" })).toEqual({ test: 500, valid: 1000, train: 5410 });
  });
});
