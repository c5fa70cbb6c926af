import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { Policy } from "../policy/policy.js";
import { Tokenizer } from "../policy/tokenizer.js";
import { baseConfig, DEFAULT_SIZE } from "./base.js";
import { trainBpe } from "./bpe.js";
import { retokenise } from "./retokenise.js";
import { makeBaseFolder } from "./train.js";

const root = mkdtempSync(join(tmpdir(), "siri-retokenise-"));
afterAll(() => rmSync(root, { recursive: true }));
const from = join(root, "from");
const to = join(root, "to");
const SIZE = { ...DEFAULT_SIZE, hidden: 64, layers: 1, intermediate: 64 };
const EMBEDDING = "model.embed_tokens.weight";

/** Name -> bytes of a safetensors file. */
function tensors(dir: string): Map<string, Buffer> {
  const bytes = readFileSync(join(dir, "model.safetensors"));
  const length = Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.toString("utf8", 8, 8 + length)) as Record<string, { data_offsets?: [number, number] }>;
  const part = ([begin, end]: [number, number]) => bytes.subarray(8 + length + begin, 8 + length + end);
  return new Map(Object.entries(header).flatMap(([name, { data_offsets }]) => (data_offsets ? [[name, part(data_offsets)] as const] : [])));
}

/** One row of the embedding. */
function row(dir: string, id: number): number[] {
  const table = tensors(dir).get(EMBEDDING)!;
  const word = new DataView(new ArrayBuffer(4));
  return Array.from({ length: SIZE.hidden }, (_, column) => {
    word.setUint16(0, table.readUInt16LE(2 * (id * SIZE.hidden + column)));
    return word.getFloat32(0);
  });
}

beforeAll(async () => {
  await makeBaseFolder(
    from,
    SIZE,
    Array(20).fill({ prompt: [{ role: "user", content: "go to toilet 1; take paper 2" }], reply: "<action>look</action>" }),
  );
  const policy = await Policy.create(baseConfig(SIZE), { seed: 3 });
  await policy.save(from, { dtype: "bfloat16" });
  await policy.close();
});

it("keeps the rows of known tokens, makes new ones from their pieces and copies the rest", async () => {
  const tokenizer = await retokenise(from, to, Array(20).fill("go to toiletpaper 1"));
  const old = await Tokenizer.load(from);
  expect(old.encode(" toiletpaper").length).toBeGreaterThan(1);
  expect(tokenizer.encode(" toiletpaper")).toHaveLength(1);

  for (const same of ["<|user|>", "<action>", "a", "\u0120to", "7"])
    expect(row(to, tokenizer.tokenId(same)!)).toEqual(row(from, old.tokenId(same)!));
  const pieces = [...old.encode(" toiletpaper")].map((id) => row(from, id));
  const mean = pieces[0]!.map((_, column) => pieces.reduce((sum, piece) => sum + piece[column]!, 0) / pieces.length);
  // bfloat16 keeps eight bits.
  row(to, tokenizer.encode(" toiletpaper")[0]!).forEach((value, column) => {
    expect(Math.abs(value - mean[column]!)).toBeLessThanOrEqual(Math.abs(mean[column]!) * 2 ** -8);
  });
  const [before, after] = [tensors(from), tensors(to)];
  expect([...after.keys()]).toEqual([...before.keys()]);
  for (const [name, bytes] of before) if (name !== EMBEDDING) expect(after.get(name)!.equals(bytes), name).toBe(true);

  const policy = await Policy.load(to);
  expect(policy.eosTokens).toEqual(tokenizer.eosTokens);
  await policy.close();
});

it("refuses a policy whose tokenizer is of another kind", async () => {
  writeFileSync(
    join(from, "tokenizer.json"),
    JSON.stringify(trainBpe(["look"], { special: ["<|end|>"], markup: [] }, { maxVocabulary: 300, minFrequency: 1 })),
  );
  await expect(retokenise(from, join(root, "other"), ["look"])).rejects.toMatchObject({ code: "PRETRAIN_RETOKENISE" });
});
