/** Hugging Face folders in and out: types, shards, round trips, and every way a folder can be wrong. */
import { cp, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import {
  bits,
  floats,
  fromFloats,
  goldenDir,
  type RawTensor,
  random,
  readRaw,
  temporaryFolder,
  writeRaw,
} from "../../test/support/policy.js";
import { Policy } from "./policy.js";
import { bfloat16ToFloat32, float16ToFloat32 } from "./safetensors.js";

const source = goldenDir("qwen2-tied");
const options = { kvCacheMiB: 8 };

/** A copy of the golden folder with other tensors. */
async function folder(change: (tensors: RawTensor[]) => RawTensor[], config: Record<string, unknown> = {}): Promise<string> {
  const dir = await temporaryFolder();
  const json = JSON.parse(await readFile(join(source, "config.json"), "utf8"));
  await writeFile(join(dir, "config.json"), JSON.stringify({ ...json, ...config }));
  await writeRaw(join(dir, "model.safetensors"), change(await readRaw(join(source, "model.safetensors"))));
  return dir;
}

/** float64 arithmetic, independent of the engine's bit tricks. */
function roundTo(x: number, mantissaBits: number, minExponent: number): number {
  if (x < 0 || Object.is(x, -0)) return -roundTo(-x, mantissaBits, minExponent);
  if (x === 0 || !Number.isFinite(x)) return x;
  const exponent = Math.max(Math.floor(Math.log2(Math.abs(x))), minExponent);
  const unit = 2 ** (exponent - mantissaBits);
  const scaled = x / unit;
  const floor = Math.floor(scaled);
  const rest = scaled - floor;
  const rounded = rest > 0.5 || (rest === 0.5 && floor % 2 !== 0) ? floor + 1 : floor;
  return rounded * unit;
}

describe("weights as", () => {
  const encode16 = (dtype: string) => (t: RawTensor) => {
    const values = floats(t);
    const out = new Uint16Array(values.length);
    for (let i = 0; i < values.length; i++) {
      if (dtype === "BF16") out[i] = new Uint32Array(Float32Array.of(values[i]!).buffer)[0]! >>> 16;
      else {
        // Truncation to half is enough here: what is stored is what must be read.
        const bits32 = new Uint32Array(Float32Array.of(values[i]!).buffer)[0]!;
        const exponent = ((bits32 >>> 23) & 255) - 112;
        out[i] = exponent <= 0 ? 0 : ((bits32 >>> 16) & 0x8000) | (exponent << 10) | ((bits32 >>> 13) & 1023);
      }
    }
    return { ...t, dtype, data: new Uint8Array(out.buffer) };
  };

  it.each(["BF16", "F16"])("%s are read exactly", async (dtype) => {
    const stored: RawTensor[] = [];
    const dir = await folder((all) => {
      stored.push(...all.map(encode16(dtype)));
      return stored;
    });
    const policy = await Policy.load(dir, options);
    for (const t of stored) {
      const raw = new Uint16Array(t.data.slice().buffer);
      expect(bits(await policy.readTensor(t.name))).toEqual(bits(dtype === "BF16" ? bfloat16ToFloat32(raw) : float16ToFloat32(raw)));
    }
    await policy.close();
  });

  it("half precision covers subnormals, infinities and NaN", () => {
    const values = float16ToFloat32(Uint16Array.of(0, 0x8000, 1, 0x03ff, 0x0400, 0x3c00, 0xc000, 0x7bff, 0x7c00, 0xfc00, 0x7e00));
    expect([...values]).toEqual([0, -0, 2 ** -24, 1023 * 2 ** -24, 2 ** -14, 1, -2, 65504, Infinity, -Infinity, Number.NaN]);
  });

  it("shards are put together", async () => {
    const dir = await temporaryFolder();
    await cp(join(source, "config.json"), join(dir, "config.json"));
    const all = await readRaw(join(source, "model.safetensors"));
    const map: Record<string, string> = {};
    for (const shard of [0, 1, 2]) {
      const part = all.filter((_, i) => i % 3 === shard);
      const file = `model-0000${shard + 1}-of-00003.safetensors`;
      await writeRaw(join(dir, file), part);
      for (const t of part) map[t.name] = file;
    }
    await writeFile(join(dir, "model.safetensors.index.json"), JSON.stringify({ metadata: {}, weight_map: map }));
    const policy = await Policy.load(dir, options);
    for (const t of all) expect(bits(await policy.readTensor(t.name))).toEqual(bits(floats(t)));
    await policy.close();
  });
});

describe("save", () => {
  it.each(["float32", "bfloat16", "float16"] as const)("as %s, and load again", async (dtype) => {
    const dir = await folder((all) =>
      all.map((t) => {
        if (t.name !== "model.norm.weight") return t;
        // Ties, subnormals of half precision, large values.
        const values = floats(t);
        values.set([1 + 2 ** -8, 1 + 3 * 2 ** -8, 1 + 2 ** -11, 1 + 3 * 2 ** -11, 2 ** -24 * 1.5, 2 ** -25, 3e-8, 65519, -65504, 1e-30]);
        return fromFloats(t, values);
      }),
    );
    await writeFile(join(dir, "tokenizer.json"), '{"a": 1}');
    const policy = await Policy.load(dir, options);
    const out = join(await temporaryFolder(), "deep", "folder");
    await policy.save(out, { dtype });
    await policy.save(out, { dtype });
    const again = await Policy.load(out, options);
    const round = { float32: (x: number) => x, bfloat16: (x: number) => roundTo(x, 7, -126), float16: (x: number) => roundTo(x, 10, -14) }[
      dtype
    ];
    expect(again.tensorNames()).toEqual(policy.tensorNames());
    for (const name of policy.tensorNames()) {
      const expected = (await policy.readTensor(name)).map(round);
      expect(bits(await again.readTensor(name)), name).toEqual(bits(expected));
    }
    const config = JSON.parse(await readFile(join(out, "config.json"), "utf8"));
    expect(config).toEqual({ ...JSON.parse(await readFile(join(dir, "config.json"), "utf8")), torch_dtype: dtype });
    expect(await readFile(join(out, "tokenizer.json"), "utf8")).toBe('{"a": 1}');
    await policy.close();
    await again.close();
  });

  it("the tokenizer's files are written again when the folder loaded from is gone", async () => {
    const dir = await folder((all) => all);
    await writeFile(join(dir, "tokenizer.json"), '{"a": 1}');
    const policy = await Policy.load(dir, options);
    await rm(dir, { recursive: true });
    const out = await temporaryFolder();
    await policy.save(out);
    expect(await readFile(join(out, "tokenizer.json"), "utf8")).toBe('{"a": 1}');
    await policy.close();
  });

  it("the optimiser: a resumed policy takes the same steps, bit for bit", async () => {
    const dir = await temporaryFolder();
    const rows = [{ tokens: Int32Array.from({ length: 50 }, (_, i) => (i * 37) % 384), responseStart: 10 }];
    const step = async (p: Policy) => {
      await p.train(rows, { kind: "weighted-nll" });
      return p.update({ lr: 1e-3, weightDecay: 0.1, maxGradNorm: 1 });
    };
    const a = await Policy.load(source, options);
    await step(a);
    await step(a);
    await a.save(dir);
    await a.saveOptimiser(join(dir, "optimiser.safetensors"));
    expect((await step(a)).step).toBe(3);
    const b = await Policy.load(dir, options);
    await b.loadOptimiser(join(dir, "optimiser.safetensors"));
    expect((await step(b)).step).toBe(3);
    for (const name of a.tensorNames()) expect(bits(await b.readTensor(name))).toEqual(bits(await a.readTensor(name)));
    const other = await Policy.load(goldenDir("qwen3-tied"), options);
    await expect(other.loadOptimiser(join(dir, "optimiser.safetensors"))).rejects.toMatchObject({ code: "SIRI_WEIGHTS" });
    await expect(other.loadOptimiser(join(dir, "model.safetensors"))).rejects.toThrow(/not an optimiser file/);
    for (const p of [a, b, other]) await p.close();
  });
});

describe("a new policy", () => {
  const config = JSON.parse(
    JSON.stringify({
      model_type: "qwen3",
      hidden_size: 48,
      intermediate_size: 80,
      num_hidden_layers: 3,
      num_attention_heads: 3,
      num_key_value_heads: 1,
      head_dim: 20,
      vocab_size: 101,
      max_position_embeddings: 64,
      rms_norm_eps: 1e-6,
      initializer_range: 0.05,
      eos_token_id: [7, 9],
    }),
  );

  it("is a function of its seed, normal with the deviation of the config", async () => {
    const make = (seed: number) => Policy.create(config, { ...options, seed });
    const [a, b, c] = await Promise.all([make(1), make(1), make(2)]);
    expect(a.eosTokens).toEqual([7, 9]);
    for (const name of a.tensorNames()) {
      const w = await a.readTensor(name);
      expect(bits(await b.readTensor(name))).toEqual(bits(w));
      if (name.endsWith("norm.weight")) {
        expect(new Set(w)).toEqual(new Set([1]));
        continue;
      }
      expect(bits(await c.readTensor(name))).not.toEqual(bits(w));
      const mean = w.reduce((s, x) => s + x, 0) / w.length;
      const deviation = Math.sqrt(w.reduce((s, x) => s + (x - mean) ** 2, 0) / w.length);
      // Four standard errors.
      expect(Math.abs(mean)).toBeLessThan((4 * 0.05) / Math.sqrt(w.length));
      expect(Math.abs(deviation / 0.05 - 1)).toBeLessThan(4 / Math.sqrt(2 * w.length));
    }
    const dir = await temporaryFolder();
    await a.save(dir);
    const again = await Policy.load(dir, options);
    const row = { tokens: Int32Array.from({ length: 30 }, (_, i) => i), responseStart: 1 };
    expect(bits((await again.score([row])).logprobs[0]!)).toEqual(bits((await a.score([row])).logprobs[0]!));
    for (const p of [a, b, c, again]) await p.close();
  });

  it("end-of-sequence ids come from generation_config.json when it has them", async () => {
    const dir = await folder((t) => t);
    await writeFile(join(dir, "generation_config.json"), JSON.stringify({ eos_token_id: [11, 12] }));
    const policy = await Policy.load(dir, options);
    expect(policy.eosTokens).toEqual([11, 12]);
    await policy.close();
  });
});

describe("a folder that is wrong is refused with names and numbers", () => {
  const drop = (name: string) => (all: RawTensor[]) => all.filter((t) => t.name !== name);
  it.each([
    [
      "missing tensor",
      drop("model.layers.1.mlp.up_proj.weight"),
      {},
      "SIRI_WEIGHTS",
      /missing model\.layers\.1\.mlp\.up_proj\.weight \[176,64\]/,
    ],
    [
      "unexpected tensor",
      (all: RawTensor[]) => [...all, { ...all[1]!, name: "model.layers.0.extra" }],
      {},
      "SIRI_WEIGHTS",
      /unexpected model\.layers\.0\.extra \[64\]/,
    ],
    [
      "misshapen tensor",
      (all: RawTensor[]) => all.map((t) => (t.name === "model.norm.weight" ? { ...t, shape: [8, 8] } : t)),
      {},
      "SIRI_WEIGHTS",
      /model\.norm\.weight: expected shape \[64\], found \[8,8\]/,
    ],
    [
      "untied without a head",
      (all: RawTensor[]) => all,
      { tie_word_embeddings: false },
      "SIRI_WEIGHTS",
      /missing lm_head\.weight \[384,64\]/,
    ],
    [
      "integer weights",
      (all: RawTensor[]) => all.map((t) => (t.name === "model.norm.weight" ? { ...t, dtype: "I32" } : t)),
      {},
      "SIRI_FILE",
      /model\.norm\.weight is I32; supported are F32, BF16 and F16/,
    ],
    [
      "model_type",
      (all: RawTensor[]) => all,
      { model_type: "gpt2" },
      "SIRI_MODEL_CONFIG",
      /model_type "gpt2" is not supported; supported are/,
    ],
    ["no hidden_size", (all: RawTensor[]) => all, { hidden_size: undefined }, "SIRI_MODEL_CONFIG", /hidden_size/],
    ["activation", (all: RawTensor[]) => all, { hidden_act: "gelu" }, "SIRI_MODEL_CONFIG", /hidden_act "gelu"/],
    ["heads", (all: RawTensor[]) => all, { num_key_value_heads: 3 }, "SIRI_MODEL_CONFIG", /num_attention_heads 4 is not a multiple/],
    ["rope", (all: RawTensor[]) => all, { rope_scaling: { rope_type: "yarn" } }, "SIRI_MODEL_CONFIG", /RoPE scaling "yarn"/],
    ["rope numbers", (all: RawTensor[]) => all, { rope_scaling: { rope_type: "llama3" } }, "SIRI_MODEL_CONFIG", /low_freq_factor/],
    ["sliding window", (all: RawTensor[]) => all, { use_sliding_window: true }, "SIRI_MODEL_CONFIG", /use_sliding_window/],
    ["odd head_dim", (all: RawTensor[]) => all, { head_dim: 15 }, "SIRI_MODEL_CONFIG", /head_dim .* is 15/],
    ["eos", (all: RawTensor[]) => all, { eos_token_id: 384 }, "SIRI_MODEL_CONFIG", /eos_token_id 384/],
  ] as [string, (all: RawTensor[]) => RawTensor[], Record<string, unknown>, string, RegExp][])(
    "%s",
    async (_, change, config, code, message) => {
      const error = await Policy.load(await folder(change, config), options).catch((e: unknown) => e);
      expect(error).toMatchObject({ code });
      expect((error as Error).message).toMatch(message);
    },
  );

  it("truncated, empty, missing and meaningless files", async () => {
    const dir = await folder((all) => all);
    const file = join(dir, "model.safetensors");
    await truncate(file, 100_000);
    await expect(Policy.load(dir, options)).rejects.toThrow(
      /model\.safetensors: truncated: tensor .* ends at byte \d+, the file has 100000/,
    );
    await truncate(file, 20);
    await expect(Policy.load(dir, options)).rejects.toThrow(/truncated or not a safetensors file/);
    await truncate(file, 3);
    await expect(Policy.load(dir, options)).rejects.toThrow(/truncated: 3 bytes/);
    await writeFile(join(dir, "config.json"), "{");
    await expect(Policy.load(dir, options)).rejects.toThrow(/config\.json is not JSON/);
    const empty = await temporaryFolder();
    await expect(Policy.load(empty, options)).rejects.toThrow(/cannot read .*config\.json/);
    await cp(join(source, "config.json"), join(empty, "config.json"));
    await expect(Policy.load(empty, options)).rejects.toThrow(/neither model\.safetensors nor/);
  });
});

it("rope_parameters of newer files mean the same as rope_theta and rope_scaling", async () => {
  const json = JSON.parse(await readFile(join(goldenDir("llama3-rope"), "config.json"), "utf8"));
  const { rope_theta, rope_scaling, ...rest } = json;
  const dir = await temporaryFolder();
  await writeFile(join(dir, "config.json"), JSON.stringify({ ...rest, rope_parameters: { ...rope_scaling, rope_theta } }));
  await cp(join(goldenDir("llama3-rope"), "model.safetensors"), join(dir, "model.safetensors"));
  const next = random(3);
  const row = { tokens: Int32Array.from({ length: 200 }, () => Math.floor(next() * 260)), responseStart: 1 };
  const [a, b] = await Promise.all([Policy.load(dir, options), Policy.load(goldenDir("llama3-rope"), options)]);
  expect(bits((await a.score([row])).logprobs[0]!)).toEqual(bits((await b.score([row])).logprobs[0]!));
  for (const p of [a, b]) await p.close();
});
