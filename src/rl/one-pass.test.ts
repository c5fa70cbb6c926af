/**
 * With one update per batch nothing is computed twice: the log-probs of sampling are the old log-probs, and the engine sees each row in
 * one training pass. Counted at the engine, with real episodes of the shipped policy.
 */
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, it } from "vitest";
import { compact } from "../agent/compact.js";
import household from "../env/household/index.js";
import { Policy } from "../policy/policy.js";
import { Tokenizer } from "../policy/tokenizer.js";
import type { PolicyHandle } from "../policy/types.js";
import { policyRows, stepRows } from "./batch.js";
import { EnvironmentPool } from "./environments.js";
import { rollout } from "./rollout.js";
import { optimise } from "./update.js";

const TINY = fileURLToPath(new URL("../../models/tiny", import.meta.url));
let policy: Policy;
let tokenizer: Tokenizer;
beforeAll(async () => {
  policy = await Policy.load(TINY);
  tokenizer = await Tokenizer.load(TINY);
});
afterAll(() => policy?.close());

it.each([0, 1])("a batch is sampled, trained on once and scored %i times (by the base policy, for the KL)", async (klCoef) => {
  const calls = { score: 0, train: 0, update: 0 };
  const counted = new Proxy<PolicyHandle>(policy, {
    get(target, name) {
      if (name in calls) calls[name as keyof typeof calls]++;
      const value: unknown = Reflect.get(target, name);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
  const environment = household();
  const tasks = await environment.tasks("train");
  const plans = Array.from({ length: 8 }, (_, i) => {
    const group = Math.floor(i / 4);
    return { iteration: 0, group, member: i % 4, task: tasks.at(group), skills: [] };
  });
  const trajectories = await rollout(
    { policy: counted, tokenizer, template: compact, environments: new EnvironmentPool(environment) },
    plans,
    {
      maxSteps: 8,
      historyLength: 2,
      maxPromptTokens: 400,
      maxResponseTokens: 64,
      temperature: 0.8,
      concurrency: 0,
      environmentTimeout: 0,
      retries: 0,
      seed: ({ group, member }, step) => BigInt(1000 * group + 100 * member + step),
      keepPlainPrompts: false,
      includeTags: false,
    },
  );
  const steps = stepRows(trajectories);
  const rows = policyRows(steps, steps.map((_, i) => (i % 2 === 0 ? 1 : -1)) as unknown as Float32Array, 0.8);
  expect(calls).toEqual({ score: 0, train: 0, update: 0 });
  const statistics = await optimise(counted, klCoef > 0 ? counted : null, rows, null, {
    miniBatchRows: 0,
    epochs: 1,
    shuffle: true,
    loss: { clipLow: 0.2, clipHigh: 0.2, dualClip: 3, klCoef, entropyCoef: 0, aggregation: "token-mean" },
    optimiser: { lr: 0 },
    seed: () => 1n,
  });
  expect(calls).toEqual({ score: klCoef, train: 1, update: 1 });
  // What a second pass would have found is what the sampler said, to the bit: the ratio is 1 everywhere.
  expect(statistics.logprobGapMax).toBe(0);
  expect(statistics.clipFraction).toBe(0);
  expect(statistics.approxKl).toBe(0);
  // The last token of a row is a target only.
  const tokens = rows.reduce((sum, row) => sum + row.tokens.length - 1, 0);
  expect(statistics.totalTokens + statistics.savedTokens).toBe(tokens);
});
