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
