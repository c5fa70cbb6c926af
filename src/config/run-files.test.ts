/** The run files that are shipped: each is accepted, and says of ALFWorld what it should. */
import { readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { templateNames } from "../agent/registry.js";
import { environmentNames } from "../env/registry.js";
import { loadConfig } from "./load.js";
import { iterationsOfAllPhases } from "./schema.js";

const folder = fileURLToPath(new URL("../../configs/", import.meta.url));
const files = readdirSync(folder).filter((name) => name.endsWith(".yaml"));
const read = (name: string) => loadConfig({ file: `${folder}${name}` });

test.each(files)("%s is accepted, and its phases fit into its iterations", (name) => {
  const config = read(name);
  expect(config.run.name).toBe(name.replace(/\.yaml$/, ""));
  expect(environmentNames).toContain(config.environment.name);
  expect(templateNames).toContain(config.agent.template);
  expect(iterationsOfAllPhases(config)).toBeLessThanOrEqual(config.iterations);
});

test("alfworld-tiny trains on the train split and evaluates each game of valid_seen once, by the template it was taught with", () => {
  const { environment, evaluation, agent, model } = read("alfworld-tiny.yaml");
  expect(environment).toMatchObject({ name: "alfworld", trainSplit: "train" });
  expect(evaluation).toMatchObject({ split: "valid_seen", tasks: 0, temperature: 1 });
  expect(agent.template).toBe("compact");
  expect(model.path).toMatch(/models[\\/]alfworld-tiny$/);
});

test.each(["alfworld-qwen2.5-1.5b.yaml", "alfworld-qwen2.5-7b.yaml"])("%s has the published settings", (name) => {
  expect(read(name)).toMatchObject({
    iterations: 150,
    environment: { name: "alfworld", trainSplit: "train", options: {} },
    agent: { template: "verl-alfworld", historyLength: 2, maxSteps: 50, maxPromptTokens: 2048, maxResponseTokens: 512, invalid: "format" },
    rollout: { groups: 16, groupSize: 8, temperature: 1 },
    advantage: { normalisation: "mean_std_norm", gamma: 0.95, stepWeight: 1, invalidPenalty: 0.1 },
    update: { miniBatchRows: 256, klCoef: 0.01 },
    optimiser: { lr: 1e-6 },
    evaluation: { split: "valid_seen", every: 5, temperature: 0.4 },
  });
});

test.each(["webshop-qwen2.5-1.5b.yaml", "webshop-qwen2.5-7b.yaml"])("%s has the published settings", (name) => {
  expect(read(name)).toMatchObject({
    iterations: 150,
    environment: { name: "webshop", options: { products: "1000", split: "verl" } },
    agent: { template: "verl-webshop", historyLength: 2, maxSteps: 15, maxPromptTokens: 4096, maxResponseTokens: 512, invalid: "format" },
    rollout: { groups: 16, groupSize: 8, temperature: 1 },
    advantage: { normalisation: "mean_norm", gamma: 0.95, stepWeight: 1, invalidPenalty: 0.1 },
    update: { miniBatchRows: 64, klCoef: 0.01 },
    optimiser: { lr: 1e-6 },
    evaluation: { split: "valid", every: 5, temperature: 0.4 },
  });
});

test("shop-tiny and webshop-tiny evaluate every task of products that training never buys, by the template they were taught with", () => {
  for (const [name, split] of [
    ["shop", "unseen"],
    ["webshop", "test"],
  ] as const) {
    const { environment, evaluation, agent, model } = read(`${name}-tiny.yaml`);
    expect(environment).toMatchObject({ name, trainSplit: "train" });
    expect(evaluation).toMatchObject({ split, tasks: 0, temperature: 1 });
    expect(agent).toMatchObject({ template: "compact-shop", maxSteps: 15 });
    expect(model.path).toMatch(new RegExp(`models[\\\\/]${name}-tiny$`));
  }
});
