import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { Tokenizer } from "../policy/tokenizer.js";
import { trainBpe } from "./bpe.js";

const dirs: string[] = [];
afterAll(() => {
  for (const dir of dirs) rmSync(dir, { recursive: true });
});

async function load(json: Record<string, unknown>): Promise<Tokenizer> {
  const dir = mkdtempSync(join(tmpdir(), "siri-bpe-"));
  dirs.push(dir);
  writeFileSync(join(dir, "tokenizer.json"), JSON.stringify(json));
  return Tokenizer.load(dir);
}

const ADDED = { special: ["<|user|>", "<|end|>"], markup: ["<action>"] };
const TEXTS = Array.from({ length: 20 }, (_, i) => `<|user|>go to cabinet ${i}; take mug ${i} from cabinet 1\nlook<|end|>`);

describe("trainBpe", () => {
  it("makes every frequent word, and a number with its blank, one token", async () => {
    const tokenizer = await load(trainBpe(TEXTS, ADDED, { maxVocabulary: 1000, minFrequency: 2 }));
    expect(tokenizer.encode(" cabinet")).toHaveLength(1);
    expect(tokenizer.encode("<|user|>go to cabinet 1")).toHaveLength(5);
    expect(tokenizer.encode(" cabinet 19")).toHaveLength(2);
    expect(tokenizer.encode("\nlook")).toHaveLength(2);
  });

  it("stops at the vocabulary bound and at the frequency bound", () => {
    const size = (json: Record<string, unknown>) => Object.keys((json.model as { vocab: object }).vocab).length;
    expect(size(trainBpe(TEXTS, ADDED, { maxVocabulary: 270, minFrequency: 2 }))).toBe(270);
    expect(size(trainBpe(TEXTS, ADDED, { maxVocabulary: 1000, minFrequency: 1e6 }))).toBe(256 + 3);
    expect(size(trainBpe([], ADDED, { maxVocabulary: 1000, minFrequency: 2 }))).toBe(256 + 3);
  });

  it("does not depend on the order of the texts", () => {
    const options = { maxVocabulary: 300, minFrequency: 2 };
    expect(trainBpe([...TEXTS].reverse(), ADDED, options)).toEqual(trainBpe(TEXTS, ADDED, options));
  });

  it("never merges across an added token", async () => {
    const tokenizer = await load(trainBpe(Array(10).fill("ab<action>ab"), ADDED, { maxVocabulary: 1000, minFrequency: 2 }));
    expect([...tokenizer.encode("ab<action>ab")]).toEqual([tokenizer.tokenId("ab"), 2, tokenizer.tokenId("ab")]);
  });

  it("gives back any text", async () => {
    const tokenizer = await load(trainBpe(TEXTS, ADDED, { maxVocabulary: 400, minFrequency: 2 }));
    for (const text of ["", "go  to\n\n x", "t\u00e9\u4e2d\u{1f600}\ufeff", "it's 3.14 <b>"]) {
      expect(tokenizer.decode(tokenizer.encode(text))).toBe(text);
    }
  });
});
