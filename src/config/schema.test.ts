import { describe, expect, it } from "vitest";
import { type ConfigInput, configSchema, iterationsOfAllPhases } from "./schema.js";

const least = { environment: { name: "household" }, model: { path: "models/tiny" } };

function problems(change: Record<string, unknown>): string[] {
  const result = configSchema.safeParse({ ...least, ...change } as ConfigInput);
  return result.success ? [] : result.error.issues.map(({ path }) => path.join("."));
}

describe("configSchema", () => {
  it("needs an environment and a model, and has a default for the rest", () => {
    const config = configSchema.parse(least);
    expect(config).toMatchObject({ method: "siri", iterations: 150, rollout: { groups: 16, groupSize: 8 }, optimiser: { lr: 1e-6 } });
    expect(problems({ environment: undefined, model: undefined })).toEqual(["environment", "model"]);
  });

  it("knows the devices by name", () => {
    for (const device of ["cpu", "auto", "cuda", "cuda:0", "cuda:15"])
      expect(configSchema.parse({ ...least, model: { path: "m", device } }).model.device).toBe(device);
    for (const device of ["tpu", "cuda:", "cuda:x", "gpu", ""])
      expect(problems({ model: { path: "m", device } })).toEqual(["model.device"]);
  });

  it("gives the same configuration when it is read again", () => {
    const config = configSchema.parse(least);
    expect(configSchema.parse(JSON.parse(JSON.stringify(config)))).toEqual(config);
  });

  it("documents every key with the source of its default", () => {
    const undocumented: string[] = [];
    const walk = (node: { shape?: Record<string, unknown>; def?: { innerType?: unknown }; description?: string }, path: string): void => {
      const inner = (node.shape ? node : node.def?.innerType) as typeof node | undefined;
      if (inner?.shape) {
        for (const [key, value] of Object.entries(inner.shape)) walk(value as typeof node, `${path}.${key}`);
      } else if (!/ \[(SIRI|GiGPO|code|peers|ours)\]$/.test(node.description ?? "")) undocumented.push(path);
    };
    walk(configSchema as never, "config");
    expect(undocumented).toEqual([]);
  });

  it.each([
    ["an arm without members", { arms: { skillFraction: 0.05 } }, "arms.skillFraction"],
    ["an arm that is the whole group", { arms: { skillFraction: 0.95 } }, "arms.skillFraction"],
    ["a deviation of one rollout", { method: "gigpo", rollout: { groupSize: 1 } }, "advantage.normalisation"],
    ["a dual clip inside the clip", { update: { dualClip: 0.5 } }, "update.dualClip"],
    ["an external writer without an address", { mining: { writer: "external" }, writer: { model: "m" } }, "writer.url"],
    ["an external writer without a model", { mining: { writer: "external" }, writer: { url: "http://localhost/v1" } }, "writer.model"],
    ["a least length above the cap", { mining: { minIterations: 61 } }, "mining.minIterations"],
    ["utility as a gate without validation", { bank: { validate: false } }, "internalise.gateUtility"],
  ])("refuses %s", (_, change, path) => {
    expect(problems(change)).toEqual([path]);
  });

  it("lets a run be short, and says how long all its phases may take", () => {
    const length = (change: object) => iterationsOfAllPhases(configSchema.parse({ ...least, iterations: 2, ...change }));
    expect(length({})).toBe(40 + 60 + 1);
    expect(length({ warmup: { enabled: false } })).toBe(61);
    expect(length({ internalise: { enabled: false } })).toBe(41);
    expect(length({ method: "gigpo" })).toBe(1);
  });

  it("asks the baselines for nothing that is SIRI's", () => {
    expect(problems({ method: "grpo", iterations: 3, arms: { skillFraction: 0.05 } })).toEqual([]);
  });

  it("has the ablations of the paper as combinations of keys", () => {
    expect(problems({ warmup: { enabled: false } })).toEqual([]); // no warm-up
    expect(problems({ internalise: { enabled: false } })).toEqual([]); // skills stay in the prompt
    expect(problems({ bank: { validate: false }, internalise: { gateUtility: false } })).toEqual([]); // no validation
    expect(problems({ internalise: { gateUtility: false, gateActive: false } })).toEqual([]); // no gate
  });
});
