import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { expect, test } from "vitest";
import { parse, stringify } from "yaml";
import { SiriError } from "../errors.js";
import { configDocs } from "./docs.js";
import { nearestKey } from "./keys.js";
import { configForFolder, type LoadOptions, loadConfig } from "./load.js";
import { configSchema } from "./schema.js";

const folder = mkdtempSync(join(tmpdir(), "siri-config-"));
const MINIMAL = "environment: { name: household }\nmodel: { path: ../models/tiny }\n";

function file(text: string, name = "run.yaml"): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

/** The lines of the error, with the file's own path shortened. */
function problems(text: string, options: Omit<LoadOptions, "file"> = {}): string[] {
  const path = file(text);
  try {
    loadConfig({ file: path, ...options });
  } catch (error) {
    expect(error).toBeInstanceOf(SiriError);
    expect((error as SiriError).code).toBe("CONFIG_INVALID");
    return (error as SiriError).message.split("\n").map((line) => line.replace(path, "run.yaml"));
  }
  throw new Error("the configuration was accepted");
}

test("a minimal file gets every default, and its paths are relative to it", () => {
  const config = loadConfig({ file: file(MINIMAL) });
  expect(config.rollout.groupSize).toBe(8);
  expect(config.environment.name).toBe("household");
  expect(config.model.path).toBe(resolve(folder, "../models/tiny"));
});

test("an environment written as a path is relative to the file, on the command line to the working folder", () => {
  const path = file("environment: { name: ./mine.mjs }\nmodel: { path: m }\n");
  expect(loadConfig({ file: path }).environment.name).toBe(join(folder, "mine.mjs"));
  const config = loadConfig({ file: path, set: ["model.path=here", "environment.name=own/env.ts"] });
  expect(config.model.path).toBe(resolve("here"));
  expect(config.environment.name).toBe(resolve("own/env.ts"));
});

test("overrides are YAML, come in order, and --seed and --name are two of them", () => {
  const set = [
    "rollout.groups=3",
    "rollout.groups=5",
    "evaluation.at=[end]",
    "writer.url=null",
    "update.shuffle=false",
    "update.miniBatchRows=0",
  ];
  const config = loadConfig({ file: file(MINIMAL), set, seed: 7, name: "seventh" });
  expect(config.rollout.groups).toBe(5);
  expect(config.evaluation.at).toEqual(["end"]);
  expect(config.update.shuffle).toBe(false);
  expect([config.seed, config.run.name]).toEqual([7, "seventh"]);
});

test("every problem is told at once, with line, column and the nearest key", () => {
  const text = `# a comment
iteratons: 300
environment:
  name: household
  trainSplit: 3
rollout:
  groups: 0
  groupsize: 8
  temperature: hot
groupSize: 3
evaluation:
  at: [start, soon]
`;
  expect(problems(text)).toEqual([
    "8 problems in the configuration:",
    "run.yaml:1:1: model is missing: it has no default",
    "run.yaml:2:1: unknown key iteratons: did you mean iterations?",
    "run.yaml:5:3: environment.trainSplit: expected string, received number (it is 3)",
    "run.yaml:7:3: rollout.groups: expected number to be >=1 (it is 0)",
    "run.yaml:8:3: unknown key rollout.groupsize: did you mean rollout.groupSize?",
    'run.yaml:9:3: rollout.temperature: expected number, received string (it is "hot")',
    "run.yaml:10:1: unknown key groupSize: did you mean rollout.groupSize?",
    'run.yaml:12:15: evaluation.at.1: expected one of "start"|"after-warmup"|"end" (it is "soon")',
  ]);
});

test("a problem of an override is placed at the override, not in the file", () => {
  const text = `${MINIMAL}rollout:\n  groups: 4\n  groupSize: 4\n`;
  expect(problems(text, { set: ["rollout.groups=many", "warmup.enable=false"], seed: -1 })).toEqual([
    "3 problems in the configuration:",
    '--set rollout.groups=many: rollout.groups: expected number, received string (it is "many")',
    "--set warmup.enable=false: unknown key warmup.enable: did you mean warmup.enabled?",
    "--seed: seed: expected number to be >=0 (it is -1)",
  ]);
});

test("an override below a value is at fault, not the value that it replaced; a number that JSON lacks is shown", () => {
  const text = `${MINIMAL}rollout:\n  groups: 4\n`;
  expect(problems(text, { set: ["rollout.groups.x=3"] })[0]).toMatch(/^--set rollout\.groups\.x=3: rollout\.groups: /);
  expect(problems(`${MINIMAL}rollout:\n  temperature: .nan\n`)[0]).toMatch(/\(it is NaN\)$/);
});

test("an unknown key that resembles nothing lists what its section has", () => {
  expect(problems(`${MINIMAL}optimiser:\n  quantisation: 4\n`)).toEqual([
    "run.yaml:4:3: unknown key optimiser.quantisation: optimiser has lr, beta1, beta2, eps, weightDecay, maxGradNorm, moments",
  ]);
});

test("combinations the schema refuses have a place, too", () => {
  const [line] = problems(`${MINIMAL}rollout:\n  groupSize: 4\narms:\n  skillFraction: 0.01\n`);
  expect(line).toMatch(/^run\.yaml:6:3: arms\.skillFraction: .*arm empty/);
});

test("broken YAML, duplicate keys and a file that is no mapping", () => {
  expect(problems("seed: 1\nseed: 2\n")[0]).toMatch(/^run\.yaml:2:1: seed stands here for the second time/);
  expect(problems("seed: 1\n---\nseed: 2\n")[0]).toMatch(/^run\.yaml:2:1: a run file is one YAML document/);
  expect(problems("seed: *base\n")[0]).toMatch(/^run\.yaml: .*alias.*base/);
  expect(problems(MINIMAL, { set: ["seed=*base"] })[0]).toMatch(/^--set seed=\*base: .*alias.*base/);
  expect(problems("seed: [1\n")[0]).toMatch(/^run\.yaml:2:1: /);
  expect(problems("- seed\n")[0]).toMatch(/^run\.yaml:1:1: /);
  expect(problems("")[0]).toMatch(/^2 problems/); // environment and model are missing
});

test("a flag that is not key=value, and a file that is not there", () => {
  expect(problems(MINIMAL, { set: ["rollout.groups"] })[0]).toMatch(/^--set rollout\.groups: expected section\.key=value/);
  expect(problems(MINIMAL, { set: [".a=1"] })[0]).toMatch(/expected section\.key=value/);
  expect(problems(MINIMAL, { set: ["seed=[1"] })[0]).toMatch(/not YAML/);
  expect(() => loadConfig({ file: join(folder, "absent.yaml") })).toThrow(/Cannot read the run file .*absent\.yaml: there is no such file/);
});

test("a key named __proto__ is refused as unknown and reaches no prototype", () => {
  expect(problems(MINIMAL, { set: ["__proto__.polluted=1"] })[0]).toMatch(/unknown key __proto__/);
  expect(({} as { polluted?: number }).polluted).toBeUndefined();
});

test("what is written into a run's folder can be loaded from there and is the same configuration", () => {
  const config = loadConfig({ file: file(MINIMAL), set: ["environment.name=./own.mjs"] });
  const written = configForFolder(config, join(folder, "runs", "a"));
  expect(written.model.path).toBe("../../../models/tiny");
  expect(configSchema.parse(parse(stringify(written)))).toEqual(written);
  const again = file(stringify(configForFolder(config, folder)), "again.yaml");
  expect(loadConfig({ file: again })).toEqual(config);
});

test("the nearest key: one slip, the right name in the wrong section, and nothing near", () => {
  const keys = ["rollout.groups", "rollout.groupSize", "optimiser.lr"];
  expect(nearestKey("rollout.gruops", keys)).toBe("rollout.groups");
  expect(nearestKey("lr", keys)).toBe("optimiser.lr");
  expect(nearestKey("something", keys)).toBeNull();
});

test("docs/config.md is what the schema says", () => {
  expect(readFileSync("docs/config.md", "utf8"), "run: npm run siri -- docs config > docs/config.md").toBe(configDocs());
});
