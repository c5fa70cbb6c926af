/** Data folders of every kind: small and large, packed, broken, changed; the catalogue on the disk says what the one in memory says. */
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { gzipSync } from "node:zlib";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { makeCatalogue } from "../../../../bench/synthetic-catalogue.js";
import { haveData, readDataLines } from "../../../../test/webshop/data.js";
import { findData } from "./data-files.js";
import { openDiskStock } from "./disk.js";
import { type BuildProgress, buildIndex } from "./disk-build.js";
import { indexedText } from "./indexed-text.js";
import { openCatalogue } from "./open.js";
import { describeProblem, type Problem, Problems } from "./problems.js";
import type { ShopStock } from "./stock.js";

let folder: string;
const opened: ShopStock[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "siri-shop-"));
});

afterEach(() => {
  for (const stock of opened.splice(0)) stock.close();
  rmSync(folder, { recursive: true });
});

async function open(options: Partial<Parameters<typeof openCatalogue>[0]> = {}): Promise<ShopStock> {
  const stock = await openCatalogue({ data: folder, cache: join(folder, "cache"), ...options });
  opened.push(stock);
  return stock;
}

const record = (asin: string, more: object = {}) => ({
  asin,
  name: `Shoe ${asin}`,
  full_description: "A shoe.",
  small_description: ["Soft", "Red"],
  pricing: "$12.50",
  images: ["https://images.example.com/1.jpg"],
  product_category: "Shoes \u203a Soft",
  category: "fashion",
  query: "Shoes",
  customization_options: "",
  ...more,
});

function put(name: string, value: unknown): void {
  const text = typeof value === "string" ? value : JSON.stringify(value);
  writeFileSync(join(folder, name), name.endsWith(".gz") ? gzipSync(text) : text);
}

function everything(stock: ShopStock): unknown[] {
  return Array.from({ length: stock.length }, (_, i) => [
    stock.product(i),
    stock.asin(i),
    stock.pricing(i),
    stock.combinations(i),
    stock.instruction(i),
    stock.humanInstructions(i),
    stock.find(stock.product(i).asin),
  ]);
}

describe("a data folder", () => {
  it("is read under the published names, packed or not", async () => {
    const entries = { A1: { attributes: ["soft"], instruction: "Find me shoes", instruction_attributes: ["soft"] } };
    const human = { A2: [{ instruction: "shoes.", instruction_attributes: ["red"], instruction_options: ["7"] }], A9: [] };
    put("items_shuffle_1000.json.gz", [record("A1"), record("A2"), record("A1"), record("nan"), record("TOO-LONG-ASIN")]);
    put("items_ins_v2_1000.json", entries);
    put("items_human_ins.json", human);
    const stock = await open();
    expect(stock.length).toBe(2);
    expect(stock.product(0).attributes).toEqual(["soft"]);
    expect(stock.product(1).attributes).toEqual(["DUMMY_ATTR"]);
    expect(stock.instruction(0)).toEqual({ text: "Find me shoes", attributes: ["soft"] });
    expect(stock.instruction(1)).toBeUndefined();
    expect(stock.humanInstructions(1)).toEqual([{ text: "shoes.", attributes: ["red"], options: ["7"] }]);
    expect(stock.humanInstructions(0)).toEqual([]);
    expect([stock.find("A2"), stock.find("a2"), stock.find("A9")]).toEqual([1, undefined, undefined]);
    expect(stock.search("a1")).toEqual([0]);
    expect(stock.problems.count).toBe(0);
    for (const index of [-1, 2, 0.5]) expect(() => stock.product(index)).toThrow(/there is no product/);
  });

  it("gives the first so many records of either set", async () => {
    put("items_shuffle_1000.json", [record("A1"), record("A2"), record("A3")]);
    put("items_ins_v2_1000.json", {});
    put("items_shuffle.json", [record("B1"), record("A2"), record("A3"), record("A4")]);
    put("items_ins_v2.json", {});
    const asins = (stock: ShopStock) => Array.from({ length: stock.length }, (_, i) => stock.asin(i));
    expect(asins(await open())).toEqual(["A1", "A2", "A3"]);
    expect(asins(await open({ products: "1000" }))).toEqual(["A1", "A2", "A3"]);
    expect(asins(await open({ products: 2 }))).toEqual(["A1", "A2"]);
    expect(asins(await open({ products: 1001 }))).toEqual(["B1", "A2", "A3", "A4"]);
    expect(asins(await open({ products: "all" }))).toEqual(["B1", "A2", "A3", "A4"]);
  });

  it("says what is not there", async () => {
    await expect(open({ data: join(folder, "absent") })).rejects.toThrow(/is not a folder/);
    await expect(open()).rejects.toThrow(/no items_shuffle_1000.json or items_shuffle.json \(or .gz\) in/);
    put("items_shuffle_1000.json", []);
    await expect(open()).rejects.toThrow(/items_ins_v2_1000.json \(or .gz\) is not in/);
    put("items_ins_v2_1000.json", {});
    await expect(open()).rejects.toThrow(/no product could be read/);
    await expect(open({ products: "all" })).rejects.toThrow(/no items_shuffle.json/);
    for (const products of [0, -1, 1.5, Number.NaN]) await expect(open({ products })).rejects.toThrow(/whole number from 1/);
  });

  it("keeps option groups in the order of the file, names that look like numbers too", async () => {
    const options = '{"size": [{"value": "8"}], "11": [{"value": "a"}], "2": null, "7": [{"value": "b"}]}';
    put("items_shuffle_1000.json", JSON.stringify([record("A1", { customization_options: "HERE" })]).replace('"HERE"', options));
    put("items_ins_v2_1000.json", {});
    expect([...(await open()).product(0).options.keys()]).toEqual(["size", "11", "7"]);
  });
});

describe("broken data", () => {
  async function problems(items: string, entries: unknown = {}): Promise<{ readonly stock: ShopStock; readonly said: string[] }> {
    put("items_shuffle_1000.json", items);
    put("items_ins_v2_1000.json", entries);
    const said: string[] = [];
    const stock = await open({ onProblem: (problem) => said.push(describeProblem(problem)) });
    expect(stock.problems.count).toBe(said.length);
    return { stock, said };
  }

  it("costs the records that are broken, each named with its place, its ASIN and what is wrong", async () => {
    const broken = [
      '{"asin": "A2", "name": "x", }',
      "17",
      JSON.stringify(record("A4", { name: 5 })),
      '{"name": "no asin"}',
      JSON.stringify(record("A6", { pricing: "free" })),
    ];
    const items = `[${[JSON.stringify(record("A1")), ...broken, JSON.stringify(record("A7", { pricing: "NaN" })).replace('"NaN"', "NaN")].join(", ")}]`;
    const { stock, said } = await problems(items);
    expect(said).toHaveLength(5);
    expect(said[0]).toMatch(/^items_shuffle_1000.json, record 1 \(A2\): .*JSON/);
    expect(said[1]).toMatch(/record 2: .*is 17; it must be an object/);
    expect(said[2]).toMatch(/record 3 \(A4\): .*field "name" is 5/);
    expect(said[3]).toMatch(/record 4: .*"asin" is missing/);
    expect(said[4]).toMatch(/record 5 \(A6\): .*"pricing"/);
    expect([stock.asin(0), stock.asin(1), stock.length]).toEqual(["A1", "A7", 2]);
    expect(stock.pricing(1)).toEqual([100]);
  });

  it("in the attribute file costs the entry, not the product", async () => {
    const entries = { A1: { attributes: "soft" }, A2: { attributes: [], instruction: "Find", instruction_attributes: [] } };
    const { stock, said } = await problems(JSON.stringify([record("A1"), record("A2")]), entries);
    expect(said).toHaveLength(2);
    expect(said[0]).toMatch(/^items_ins_v2_1000.json, record 0 \(A1\): .*"attributes"/);
    expect(said[1]).toMatch(/record 1 \(A2\): .*"instruction_attributes" is empty/);
    expect([stock.product(0).attributes, stock.product(1).attributes]).toEqual([["DUMMY_ATTR"], []]);
    expect(stock.instruction(1)).toBeUndefined();
  });

  it("that ends too early is used up to there", async () => {
    const { stock, said } = await problems(JSON.stringify([record("A1"), record("A2")]).slice(0, -9));
    expect(stock.length).toBe(1);
    expect(said).toEqual([
      expect.stringMatching(/record 1: the file ends inside the part that begins at byte \d+: it is cut, or .*; 1 records were found/),
    ]);
  });

  it("that was packed and cut is used up to there", async () => {
    const records = Array.from({ length: 3000 }, (_, i) => record(`A${i}`, { full_description: `${Math.sin(i)} ${Math.cos(i)}` }));
    put("items_shuffle_1000.json.gz", records);
    put("items_ins_v2_1000.json", {});
    const path = join(folder, "items_shuffle_1000.json.gz");
    truncateSync(path, Math.floor(statSync(path).size / 2));
    const said: Problem[] = [];
    const stock = await open({ onProblem: (problem) => said.push(problem) });
    expect(stock.length).toBeGreaterThan(500);
    expect(stock.length).toBeLessThan(2000);
    expect(said).toHaveLength(1);
    expect(said[0]!.what).toMatch(/cannot be read further \(unexpected end of file\); \d+ records were found/);
  });
});

describe("a catalogue on the disk", () => {
  const make = (products: number, gzip = false) => makeCatalogue({ folder, products, seed: 3, gzip });
  const indexFile = () => join(folder, "items_shuffle.json.siri-index");

  it("says what the same one in memory says, whatever the segments", async () => {
    await make(1500);
    const memory = await open({ products: 1500 });
    const disk = await open({ products: "all" });
    expect(existsSync(indexFile())).toBe(true);
    // A quick comparison: a readable one takes seconds.
    expect(isDeepStrictEqual(everything(disk), everything(memory))).toBe(true);
    expect(everything(disk).some((all) => (all as unknown[])[4] !== undefined)).toBe(true);
    const path = join(folder, "many.siri-index");
    const progress: BuildProgress[] = [];
    await buildIndex(findData(folder, "all"), path, {
      problems: new Problems(),
      source: null,
      segmentPairs: 20_000,
      onProgress: (step) => progress.push(step),
    });
    expect(progress.at(0)?.phase).toBe("reading products");
    expect(progress.at(-1)).toMatchObject({ phase: "writing the search index", products: 1500 });
    const many = openDiskStock(path, 0);
    opened.push(many);
    expect(readFileSync(path).subarray(16_384, 17_000)).toEqual(readFileSync(indexFile()).subarray(16_384, 17_000));
    for (let i = 0; i < 40; i++) {
      const { title, query, attributes } = memory.product(i * 25);
      for (const text of [title, query, `find me ${attributes.join(", ")} with color: black, and size: large`]) {
        const expected = memory.search(text);
        expect(disk.search(text)).toEqual(expected);
        expect(many.search(text)).toEqual(expected);
      }
    }
    const bearing = (of: "category" | "query", name: string) =>
      Array.from({ length: 1500 }, (_, i) => i).filter((i) => memory.product(i)[of] === name);
    for (const index of [0, 7, 1499]) {
      const { category, query } = memory.product(index);
      for (const stock of [memory, disk, many]) {
        expect(stock.inCategory(category)).toEqual(bearing("category", category));
        expect(stock.withQuery(query)).toEqual(bearing("query", query));
        expect(stock.inCategory(`${category}s`)).toEqual([]);
      }
    }
    for (const index of [-1, 1500, 0.5, Number.NaN]) expect(() => disk.product(index)).toThrow(/there is no product/);
    for (const asin of ["", "B", "B000000000000", "\0"]) expect(disk.find(asin)).toBeUndefined();
    expect(disk.search("")).toEqual([]);
  });

  it("is made once, and made again when the data change", async () => {
    await make(40, true);
    const path = join(folder, "items_shuffle.json.gz.siri-index");
    expect((await open({ products: "all" })).length).toBe(40);
    const made = statSync(path).mtimeMs;
    expect((await open({ products: "all" })).length).toBe(40);
    expect(statSync(path).mtimeMs).toBe(made);
    await make(41, true);
    expect((await open({ products: "all" })).length).toBe(41);
    // A limit has an index of its own.
    expect((await open({ products: 20_000 })).length).toBe(41);
    expect(
      readdirSync(folder)
        .filter((name) => name.includes("siri-index"))
        .sort(),
    ).toEqual(["items_shuffle.json.gz.20000.siri-index", "items_shuffle.json.gz.siri-index"]);
  });

  it("is made again when its file is damaged or was never finished; damage found later is named", async () => {
    await make(200);
    (await open({ products: "all" })).close();
    opened.length = 0;
    const whole = readFileSync(indexFile());
    const cut = (length: number) => whole.subarray(0, length);
    const flipped = (at: number) => Buffer.concat([whole.subarray(0, at), Buffer.of(whole[at]! ^ 1), whole.subarray(at + 1)]);
    const damaged = [
      cut(0),
      cut(40),
      cut(whole.length - 1),
      flipped(3),
      flipped(9),
      flipped(20),
      flipped(whole.length - 5),
      Buffer.alloc(100),
    ];
    for (const bytes of damaged) {
      writeFileSync(indexFile(), bytes);
      expect(() => openDiskStock(indexFile())).toThrow(expect.objectContaining({ code: "WEBSHOP_INDEX" }));
      expect((await open({ products: "all" })).length).toBe(200);
      expect(readFileSync(indexFile()).equals(whole)).toBe(true);
    }
    // A product's page.
    writeFileSync(indexFile(), flipped(16_384 + 40));
    const stock = await open({ products: "all" });
    expect(() => stock.product(0)).toThrow(
      /items_shuffle.json.siri-index' is damaged: the checksum of the page at byte 16384 differs; delete it/,
    );
  });

  it("tells again, at each opening, of what was wrong with the data", async () => {
    await make(30);
    const path = join(folder, "items_shuffle.json");
    writeFileSync(path, readFileSync(path, "utf8").replace(/"name":"[^"]*"/, '"name":1'));
    for (let i = 0; i < 2; i++) {
      const said: Problem[] = [];
      const stock = await open({ products: "all", onProblem: (problem) => said.push(problem) });
      expect([stock.length, stock.problems.count, said.length]).toEqual([29, 1, 1]);
      expect(describeProblem(said[0]!)).toMatch(/record 0 \(B000000000\): .*"name" is 1/);
    }
  });

  it("leaves nothing behind when it cannot be made, and removes what a killed process has left", async () => {
    await make(30);
    const remains = `${indexFile()}.building-${hostname()}-${2 ** 22 + 5}`;
    mkdirSync(remains);
    writeFileSync(join(remains, "index"), "half");
    const foreign = `${indexFile()}.building-elsewhere-5`;
    writeFileSync(foreign, "");
    await open({ products: "all" });
    expect(existsSync(remains)).toBe(false);
    expect(existsSync(foreign)).toBe(true);
    put("items_shuffle.json", "[]");
    await expect(open({ products: "all" })).rejects.toThrow(/no product could be read/);
    expect(readdirSync(folder).filter((name) => name.includes(".building-"))).toEqual([foreign.slice(folder.length + 1)]);
  });

  // The superuser may write anywhere.
  it.skipIf(process.getuid?.() === 0)("is kept in the cache folder when the data folder cannot be written", async () => {
    await make(30);
    chmodSync(folder, 0o555);
    const cache = mkdtempSync(join(tmpdir(), "siri-cache-"));
    try {
      for (let i = 0; i < 2; i++) expect((await open({ products: "all", cache })).length).toBe(30);
      expect(existsSync(indexFile())).toBe(false);
      expect(readdirSync(cache)).toEqual([expect.stringMatching(/^[0-9a-f]{16}\.siri-index$/)]);
    } finally {
      chmodSync(folder, 0o755);
      rmSync(cache, { recursive: true });
    }
  });
});

const INDEXED = "index_documents_1k.jsonl.gz";
const SEARCHES = "goldens/search.jsonl.gz";
const PAGES = "goldens/real_pyserini_search_pages.jsonl.gz";

describe.skipIf(!haveData("items_shuffle_1000.json.gz", INDEXED, SEARCHES, PAGES))("goldens", () => {
  const data = process.env.WEBSHOP_DATA ?? join(import.meta.dirname, "../../../../../shared/webshop");

  it("the indexed text of the 1,000 products, and their instructions", async () => {
    const stock = await open({ data });
    const documents = readDataLines<{ readonly id: string; readonly contents: string }>(INDEXED);
    expect(Array.from({ length: stock.length }, (_, i) => [stock.asin(i), indexedText(stock.product(i))])).toEqual(
      documents.map(({ id, contents }) => [id, contents]),
    );
    const positions = Array.from({ length: stock.length }, (_, i) => i);
    expect(positions.filter((i) => stock.instruction(i)).length).toBe(415);
    expect(positions.reduce((sum, i) => sum + stock.humanInstructions(i).length, 0)).toBe(13);
    expect(stock.problems.count).toBe(0);
  });

  it("searches, from memory and from the disk", async () => {
    const memory = await open({ data });
    const path = join(folder, "index");
    await buildIndex(findData(data, "1000"), path, { problems: new Problems(), source: null, segmentPairs: 30_000 });
    const disk = openDiskStock(path, 0);
    opened.push(disk);
    for (const { query, hits } of readDataLines<{ readonly query: string; readonly hits: readonly (readonly [string, number])[] }>(
      SEARCHES,
    )) {
      const asins = hits.map(([asin]) => asin).join();
      expect(memory.search(query).map(memory.asin).join()).toBe(asins);
      expect(disk.search(query).map(disk.asin).join()).toBe(asins);
    }
  });

  it("result pages that others recorded from Pyserini", async () => {
    const stock = await open({ data });
    const pages = readDataLines<{ readonly query: string; readonly real_formatted_obs: string }>(PAGES);
    const shown = (page: string) => Array.from(page.matchAll(/'(B[0-9A-Z]{9}|[0-9]{9}[0-9X])' \[SEP\]/g), ([, asin]) => asin!);
    const recorded = pages.map(({ real_formatted_obs: page }) => shown(page).join());
    const found = pages.map(({ query }) =>
      stock
        .search(/^search\[(.+)\]/.exec(query)![1]!)
        .slice(0, 10)
        .map(stock.asin)
        .join(),
    );
    expect(pages.length).toBeGreaterThan(100);
    expect(found).toEqual(recorded);
  });
});
