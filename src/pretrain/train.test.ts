import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import type { AdamWOptions, PolicyHandle, WeightedLoss, WeightedRow } from "../policy/types.js";
import { DEFAULT_SIZE } from "./base.js";
import { DEFAULT_TRAIN, encodeExample, type Example, learningRate, makeBaseFolder, type TrainProgress, trainBase } from "./train.js";

const dir = mkdtempSync(join(tmpdir(), "siri-base-"));
afterAll(() => rmSync(dir, { recursive: true }));

const EXAMPLES: Example[] = Array.from({ length: 50 }, (_, i) => ({
  prompt: [{ role: "user", content: `task: put a mug in cabinet\nstep ${i} obs: You arrive.` }],
  reply: `<think>find mug</think><action>go to cabinet ${i % 7}</action>`,
}));

describe("learningRate", () => {
  it("warms up linearly and falls on a cosine to the final fraction", () => {
    const settings = { lr: 1, finalFraction: 0.1, warmupUpdates: 10 };
    const rates = Array.from({ length: 111 }, (_, i) => learningRate(i, 111, settings));
    expect(rates[0]).toBeCloseTo(0.1);
    expect(rates[9]).toBeCloseTo(1);
    expect(rates[10]).toBeCloseTo(1);
    expect(rates[60]).toBeCloseTo(0.55);
    expect(rates[110]).toBeCloseTo(0.1);
  });

  it("stands a run shorter than its warm-up", () => {
    expect(learningRate(1, 2, { lr: 1, finalFraction: 0.1, warmupUpdates: 10 })).toBeCloseTo(0.2);
  });
});

describe("the base folder", () => {
  it("has everything but the weights, and a tokenizer that frames a row", async () => {
    const tokenizer = await makeBaseFolder(dir, DEFAULT_SIZE, EXAMPLES);
    expect(readdirSync(dir).sort()).toEqual(["config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json"]);
    const { tokens, responseStart } = encodeExample(tokenizer, EXAMPLES[3]!);
    expect(tokenizer.decode(tokens.slice(0, responseStart))).toBe(`<|user|>${EXAMPLES[3]!.prompt[0]!.content}<|assistant|>`);
    expect(tokenizer.decode(tokens.slice(responseStart))).toBe(`${EXAMPLES[3]!.reply}<|end|>`);
    expect(tokenizer.eosTokens).toEqual([tokens[tokens.length - 1]]);
    const config = JSON.parse(readFileSync(join(dir, "config.json"), "utf8")) as { vocab_size: number; eos_token_id: number };
    expect(tokenizer.vocabSize).toBeLessThanOrEqual(config.vocab_size);
    expect(tokenizer.eosTokens).toEqual([config.eos_token_id]);
  });
});

describe("trainBase", () => {
  /** Records the calls; what the engine computes is tested with the engine. */
  function fake() {
    const calls: { rows: number; loss: WeightedLoss; lr: number }[] = [];
    let saves = 0;
    const handle = {
      maxPositions: 1024,
      train: async (rows: readonly WeightedRow[], loss: WeightedLoss) => {
        calls.push({ rows: rows.length, loss, lr: 0 });
        return { loss: 2, nll: 2, promptNll: 3, tokens: 1, totalTokens: 7, savedTokens: 3, logprobs: [] };
      },
      update: async ({ lr }: AdamWOptions) => {
        calls.at(-1)!.lr = lr;
        return { gradNorm: 1, step: calls.length };
      },
      save: async () => {
        saves += 1;
      },
    };
    return { calls, handle: handle as unknown as PolicyHandle, saves: () => saves };
  }

  it("trains once on each row, with prompt loss in the first part only, and saves", async () => {
    const tokenizer = await makeBaseFolder(dir, DEFAULT_SIZE, EXAMPLES);
    const { calls, handle, saves } = fake();
    const lines: TrainProgress[] = [];
    const settings = { ...DEFAULT_TRAIN, rows: 40, batchRows: 4, warmupUpdates: 2, saveEvery: 4 };
    await trainBase(handle, tokenizer, EXAMPLES.values(), settings, dir, (line) => lines.push(line));
    expect(calls.map((call) => call.rows)).toEqual(Array(10).fill(4));
    expect(calls.map((call) => call.loss.promptCoef)).toEqual([1, 1, 1, 1, 1, 1, 1, 1, 0, 0]);
    expect(calls[9]!.lr).toBeCloseTo(settings.lr * settings.finalFraction);
    expect(saves()).toBe(3);
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatchObject({ rows: 40, update: 10, nll: 2 });
    expect(JSON.parse(readFileSync(join(dir, "pretrain.jsonl"), "utf8"))).toEqual(lines[0]);
  });

  it("refuses to repeat rows and to cut them", async () => {
    const tokenizer = await makeBaseFolder(dir, DEFAULT_SIZE, EXAMPLES);
    const settings = { ...DEFAULT_TRAIN, rows: 60, batchRows: 4 };
    await expect(trainBase(fake().handle, tokenizer, EXAMPLES.values(), settings, dir, () => {})).rejects.toMatchObject({
      code: "PRETRAIN_DATA_ENDED",
    });
    const short = { ...fake().handle, maxPositions: 8 } as PolicyHandle;
    await expect(trainBase(short, tokenizer, EXAMPLES.values(), settings, dir, () => {})).rejects.toMatchObject({
      code: "PRETRAIN_ROW_TOO_LONG",
    });
  });
});
