/**
 * The whole trainer on the emulated CUDA device: the kernels a GPU runs, under the TypeScript that drives them. Needs an addon built with
 * the emulator, which `npm run test:emulated` makes and names; skipped otherwise.
 */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { loadConfig } from "../src/config/load.js";
import { Policy } from "../src/policy/policy.js";
import type { PolicyRow } from "../src/policy/types.js";
import { RunDirectory } from "../src/run/run-directory.js";
import { train } from "../src/siri/trainer.js";

const DEVICE = process.env.SIRI_TEST_DEVICE ?? "";
const at = (path: string) => fileURLToPath(new URL(path, import.meta.url));

/** The tokenizer of the shipped policy under a model that an emulator gets through. */
const TINY = {
  architectures: ["Qwen2ForCausalLM"],
  model_type: "qwen2",
  hidden_size: 64,
  intermediate_size: 64,
  num_hidden_layers: 1,
  num_attention_heads: 2,
  num_key_value_heads: 1,
  head_dim: 32,
  vocab_size: 896,
  max_position_embeddings: 1024,
  rope_theta: 10000,
  rms_norm_eps: 1e-6,
  tie_word_embeddings: true,
  initializer_range: 0.05,
  eos_token_id: 4,
};
const OPTIONS = { threads: 2, maxBatchTokens: 256, kvCacheMiB: 4 };

const largest = (a: ArrayLike<number>, b: ArrayLike<number>) => {
  expect(a.length).toBe(b.length);
  return Array.from(a).reduce((most, x, i) => Math.max(most, Math.abs(x - b[i]!) / Math.max(1, Math.abs(b[i]!))), 0);
};

describe.skipIf(DEVICE === "")(`the trainer on the device "${DEVICE}" (skipped without SIRI_TEST_DEVICE: npm run test:emulated)`, () => {
  let root: string;
  let model: string;
  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), "siri-device-"));
    model = join(root, "model");
    const shipped = await Policy.load(at("../models/tiny"), { ...OPTIONS, device: "cpu" });
    await shipped.save(model); // tokenizer and template
    await shipped.close();
    const policy = await Policy.create(TINY, { ...OPTIONS, device: "cpu", seed: 3 });
    await policy.save(model);
    await policy.close();
  });
  afterAll(() => rm(root, { recursive: true, force: true }));

  it("samples, scores, trains and saves what the CPU does; a file of one is a file of the other", async () => {
    const [cpu, device] = await Promise.all(["cpu", DEVICE].map((name) => Policy.load(model, { ...OPTIONS, device: name })));
    const prompts = [20, 33, 21].map((n, i) => Int32Array.from({ length: n }, (_, j) => (j < 17 ? 5 + j * 7 : 11 * i + j) % 896));
    const sampleAll = (policy: Policy) =>
      Promise.all(prompts.map((prompt, i) => policy.sample(prompt, { maxTokens: 4 + i, temperature: 0.8, stop: [], seed: 40 + i })));
    const [expected, found] = [await sampleAll(cpu!), await sampleAll(device!)];
    expect(found.map(({ tokens }) => [...tokens])).toEqual(expected.map(({ tokens }) => [...tokens]));
    const rows: PolicyRow[] = found.map(({ tokens, logprobs }, i) => ({
      tokens: Int32Array.from([...prompts[i]!, ...tokens]),
      responseStart: prompts[i]!.length,
      temperature: 0.8,
      advantage: i - 0.7,
      oldLogprobs: logprobs,
    }));
    const scored = await device!.score(rows);
    for (const [i, row] of rows.entries()) expect(largest(scored.logprobs[i]!, row.oldLogprobs)).toBeLessThan(1e-5);

    const step = async (policy: Policy) => {
      await policy.train(rows, {
        kind: "policy",
        clipLow: 0.2,
        clipHigh: 0.2,
        dualClip: 3,
        klCoef: 0,
        entropyCoef: 0.01,
        aggregation: "token-mean",
      });
      return policy.update({ lr: 1e-2, eps: 1e-2, weightDecay: 0.1, maxGradNorm: 1 });
    };
    const weights = async (policy: Policy) => Promise.all(policy.tensorNames().map((name) => policy.readTensor(name)));
    const close = async (a: Policy, b: Policy) => {
      const other = await weights(b);
      for (const [i, tensor] of (await weights(a)).entries()) expect(largest(tensor, other[i]!)).toBeLessThan(1e-5);
    };
    const [a, b] = [await step(cpu!), await step(device!)];
    expect(Math.abs(a.gradNorm - b.gradNorm)).toBeLessThan(1e-5 * Math.max(1, a.gradNorm));
    await close(device!, cpu!);

    // Half-way on one device, on with the other.
    const folder = join(root, "half-way");
    await device!.save(folder);
    await device!.saveOptimiser(join(folder, "optimiser.bin"));
    const moved = await Policy.load(folder, { ...OPTIONS, device: "cpu" });
    await moved.loadOptimiser(join(folder, "optimiser.bin"));
    const [stayed, went] = [await step(device!), await step(moved)];
    expect(went.step).toBe(2);
    expect(stayed.step).toBe(2);
    await close(device!, moved);
    await Promise.all([cpu!, device!, moved].map((policy) => policy.close()));
  });

  /** Two iterations, the second on `then`. */
  async function run(name: string, first: string, then: string): Promise<Record<string, number | string>[]> {
    const set = [
      `model.path=${JSON.stringify(model)}`,
      "model.maxBatchTokens=256",
      "model.kvCacheMiB=8",
      "method=gigpo",
      "iterations=2",
      "agent.maxSteps=2",
      "agent.maxPromptTokens=320",
      "agent.maxResponseTokens=6",
      "rollout.groups=1",
      "rollout.groupSize=2",
      "update.miniBatchRows=0",
      "optimiser.lr=1e-4",
      "optimiser.eps=1e-3",
      "evaluation.at=[]",
      "evaluation.every=0",
      `run.root=${JSON.stringify(root)}`,
      `run.name=${name}`,
    ];
    for (const [iteration, device] of [first, then].entries()) {
      const config = loadConfig({ file: at("../configs/household-tiny.yaml"), set: [...set, `model.device=${device}`] });
      const directory = await RunDirectory.open({
        root,
        name,
        config,
        resume: iteration > 0,
        mayDiffer: ({ key }) => key === "model.device",
      });
      const stop = new AbortController();
      try {
        await train({
          config,
          run: directory,
          signal: stop.signal,
          report: (event) => {
            if (event.kind === "iteration" && first !== then) stop.abort();
          },
        });
      } finally {
        directory.close();
      }
      if (first === then) break;
    }
    const lines = (await readFile(join(root, name, "metrics.jsonl"), "utf8")).trimEnd().split("\n");
    return lines.map((line) => JSON.parse(line) as Record<string, number | string>);
  }

  it("trains through the whole loop, and a run goes on on another device", { timeout: 3_600_000 }, async () => {
    const [cpu, device, moved] = [await run("cpu", "cpu", "cpu"), await run("device", DEVICE, DEVICE), await run("moved", DEVICE, "cpu")];
    for (const metrics of [cpu, device, moved]) expect(metrics.map(({ iteration }) => iteration)).toEqual([1, 2]);
    for (const [i, want] of cpu.entries())
      for (const found of [device[i]!, moved[i]!]) {
        expect(Object.keys(found)).toEqual(Object.keys(want));
        for (const [name, value] of Object.entries(want)) {
          if (typeof value === "string") expect(found[name]).toBe(value);
          else if (!name.startsWith("update/logprob_gap"))
            expect(Math.abs((found[name] as number) - value), name).toBeLessThan(1e-4 * Math.max(1, Math.abs(value)));
        }
        expect(found["update/logprob_gap_max"]).toBeLessThan(1e-5);
        expect(want["update/logprob_gap_max"]).toBe(0);
      }
  });
});
