import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { WinkMethods } from "wink-nlp";
import { haveData, readData } from "../../../test/webshop/data.js";
import { findNounLists, nounsOf, nounTagger, readNounLists, tagNouns } from "./nouns.js";

const folder = mkdtempSync(join(tmpdir(), "siri-nouns-"));
afterAll(() => rmSync(folder, { recursive: true }));

function file(name: string, content: string | Uint8Array): string {
  writeFileSync(join(folder, name), content);
  return join(folder, name);
}

describe("nouns of titles", () => {
  it("tags common and proper nouns, in lower case", () => {
    expect(tagNouns("The Chair is made of Oak and stands in the garden")).toEqual(["chair", "oak", "garden"]);
    expect(tagNouns("")).toEqual([]);
  });

  it("does not depend on the titles before, nor on when a fresh tagger takes over", () => {
    const titles = Array.from({ length: 40 }, (_, i) => `Zq${i}x Women’s Blorf${i} and women's WOMEN'S 65" Kwerf${i % 3} stand`);
    const once = titles.map(tagNouns);
    // Every title has new words: with a limit of 250, several taggers are used up.
    const often = nounTagger(250);
    expect(titles.toReversed().map(often).toReversed()).toEqual(once);
    expect(titles.map(often)).toEqual(once);
  });

  it("takes known lists, and counts repeated nouns", () => {
    const nouns = nounsOf(new Map([["x y", ["tea", "tree", "tea"]]]));
    expect(nouns("x y")).toEqual({ count: 3, set: new Set(["tea", "tree"]) });
    expect(nouns("x y")).toBe(nouns("x y"));
    expect([...nouns("a wooden table").set]).toEqual(["table"]);
  });

  it("keeps no more titles than it was told to", () => {
    const nouns = nounsOf(new Map([..."abc"].map((title) => [title, [title]])), 2);
    const first = nouns("a");
    nouns("b");
    nouns("c");
    expect(nouns("a")).not.toBe(first);
    expect(nouns("a")).toEqual(first);
  });

  it("reads lists from a file", () => {
    const lists = { "An oak chair": ["oak", "chair"], "": [] };
    for (const path of [file("a.json", JSON.stringify(lists)), file("b.json.gz", gzipSync(JSON.stringify(lists)))]) {
      expect(Object.fromEntries(readNounLists(path))).toEqual(lists);
    }
  });

  it("finds the lists of a data folder", () => {
    expect(findNounLists(folder)).toBeUndefined();
    expect(findNounLists(join(folder, "nowhere"))).toBeUndefined();
    const packed = file("title_nouns_wink.json.gz", gzipSync(JSON.stringify({ lamp: ["lamp"] })));
    expect(findNounLists(folder)).toBe(packed);
    expect(readNounLists(packed).get("lamp")).toEqual(["lamp"]);
    const plain = file("title_nouns.json", "{}");
    expect(findNounLists(folder)).toBe(plain);
  });

  it("names what is wrong with a file", () => {
    expect(() => readNounLists(join(folder, "none.json"))).toThrow(/none\.json: cannot be read/);
    expect(() => readNounLists(file("c.json", "{"))).toThrow(/c\.json: cannot be read as JSON/);
    expect(() => readNounLists(file("d.json", "[]"))).toThrow(/d\.json: must hold one object/);
    expect(() => readNounLists(file("e.json", '{"t": "x"}'))).toThrow(/title "t" must have a list/);
  });
});

const known = "title_nouns_wink.json.gz";
describe.skipIf(!haveData(known))("titles tagged when the goldens were made", () => {
  let lists: readonly (readonly [string, readonly string[]])[];
  beforeAll(() => {
    lists = Object.entries(readData<Readonly<Record<string, readonly string[]>>>(known));
  });

  /** Titles whose list is not the recorded one. */
  const different = (tag: (title: string) => readonly string[]): string[] =>
    lists.filter(([title, nouns]) => JSON.stringify(tag(title)) !== JSON.stringify(nouns)).map(([title]) => title);

  it("come from the same model: it gives the recorded lists when it reads the titles in the recorded order", () => {
    expect(lists.length).toBe(1005);
    const require = createRequire(import.meta.url);
    const { readDoc, its } = require("wink-nlp")(require("wink-eng-lite-web-model"), ["pos"]) as WinkMethods;
    const remembering = (title: string): readonly string[] => {
      const tokens = readDoc(title).tokens();
      const tags = tokens.out(its.pos);
      return tokens.out(its.value).flatMap((word, i) => (["NOUN", "PROPN"].includes(tags[i] as string) ? [word.toLowerCase()] : []));
    };
    expect(different(remembering)).toEqual([]);
    // The second time it tells words apart by what it has read since.
    expect(different(remembering).length).toBeGreaterThan(10);
  });

  it("are tagged the same but for 26 that depend on what was read before, and always in the same way", () => {
    expect(different(tagNouns).length).toBe(26);
    const forwards = lists.map(([title]) => tagNouns(title));
    const backwards = lists.toReversed().map(([title]) => tagNouns(title));
    expect(backwards.toReversed()).toEqual(forwards);
  });
});
