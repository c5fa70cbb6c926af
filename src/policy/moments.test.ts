/** AdamW's moments in bfloat16: half the memory, files of float32, and what a run learns is what it learns with float32. */
import { join } from "node:path";
import { expect, it } from "vitest";
import { bits, goldenDir, random, randomTokens, temporaryFolder } from "../../test/support/policy.js";
import { Policy } from "./policy.js";

const DIR = goldenDir("qwen2-tied");
const next = random(3);
const rows = Array.from({ length: 8 }, () => ({ tokens: randomTokens(next, 24, 300), responseStart: 4 }));
const step = async (policy: Policy) => {
  const { loss } = await policy.train(rows, { kind: "weighted-nll" });
  await policy.update({ lr: 3e-3, beta2: 0.99, maxGradNorm: 1 });
  return loss;
};
const weights = async (policy: Policy) => (await Promise.all(policy.tensorNames().map((name) => policy.readTensor(name)))).flatMap(bits);

it("halves their memory and learns the same", async () => {
  const [wide, half] = [await Policy.load(DIR), await Policy.load(DIR, { moments: "bfloat16" })];
  expect(half.memory.moments).toBe(wide.memory.moments / 2);
  const [first, ...losses] = [await step(wide), await step(wide), await step(wide), await step(wide)];
  expect(await step(half)).toBe(first);
  for (const loss of losses) expect(Math.abs((await step(half)) - loss)).toBeLessThan(0.02 * loss);
  expect(losses.at(-1)).toBeLessThan(first! - 0.1);
  expect(await weights(half)).not.toEqual(await weights(wide));
  await Promise.all([wide.close(), half.close()]);
});

it.each([1, 3])("goes on from a file as if it had never stopped, %i threads", async (threads) => {
  const folder = await temporaryFolder();
  const policy = await Policy.load(DIR, { moments: "bfloat16", threads: 2 });
  await step(policy);
  await policy.save(folder);
  await policy.saveOptimiser(join(folder, "optimiser.bin"));
  const again = await Policy.load(folder, { moments: "bfloat16", threads });
  await again.loadOptimiser(join(folder, "optimiser.bin"));
  for (let i = 0; i < 2; i++) expect(await step(again)).toBe(await step(policy));
  expect(await weights(again)).toEqual(await weights(policy));
  await Promise.all([policy.close(), again.close()]);
});

it("refuses another type", async () => {
  await expect(Policy.load(DIR, { moments: "float16" as "float32" })).rejects.toMatchObject({ code: "SIRI_ARGUMENT" });
});
