/** Which devices a policy can be asked for, and what it says of those that are not there. */
import { afterEach, expect, it, vi } from "vitest";
import { goldenDir } from "../../test/support/policy.js";
import { INSTRUCTION_SETS, native } from "../native.js";
import { Policy } from "./policy.js";

const DIR = goldenDir("qwen2-tied");
afterEach(() => vi.unstubAllEnvs());

const refused = (device: string) =>
  Policy.load(DIR, { device }).then(
    (policy) => policy.close(),
    (e: unknown) => e,
  );

it.each(["tpu", "", "cuda:", "cuda:x", "cuda:-1", "CPU", "cuda:1:2"])("refuses the device %j", async (device) => {
  expect(await refused(device)).toMatchObject({ name: "SiriError", code: "SIRI_ARGUMENT", message: expect.stringContaining("cuda:N") });
});

it("takes the device from SIRI_DEVICE, and the option before it", async () => {
  vi.stubEnv("SIRI_DEVICE", "tpu");
  await expect(Policy.load(DIR)).rejects.toThrow('device (or SIRI_DEVICE) is "tpu"');
  const policy = await Policy.load(DIR, { device: "cpu" });
  expect(INSTRUCTION_SETS).toContain(policy.device);
  await policy.close();
});

it("says what is missing where there is no CUDA device, and auto takes the CPU", async () => {
  const { devices, obstacle } = native().cuda();
  if (obstacle === "") return expect(devices.length).toBeGreaterThan(0);
  const error = await refused("cuda");
  expect(error).toMatchObject({
    name: "SiriError",
    code: expect.stringMatching(/^SIRI_(NO_CUDA_BUILD|NO_CUDA_DEVICE|CUDA_DRIVER_TOO_OLD)$/),
    message: obstacle,
  });
  expect(obstacle).toContain("--device cpu");
  expect(await refused("cuda:0")).toMatchObject({ message: obstacle });
  const policy = await Policy.load(DIR, { device: "auto" });
  expect(INSTRUCTION_SETS).toContain(policy.device);
  await policy.close();
});

it("plans memory by purpose, takes training's when asked to, and says what a plan was that did not fit", async () => {
  const policy = await Policy.load(DIR, { maxBatchTokens: 64, kvCacheMiB: 1 });
  const long = await Policy.load(DIR, { maxBatchTokens: 64, kvCacheMiB: 1, maxRowTokens: 640 });
  expect(long.memory.trainActivations).toBeGreaterThan(9 * policy.memory.trainActivations);
  expect(long.memory.forwardActivations).toBeGreaterThan(9 * policy.memory.forwardActivations);
  expect(long.memory.weights).toBe(policy.memory.weights);
  await policy.prepareTraining();
  await policy.prepareTraining();
  await policy.train([{ tokens: Int32Array.of(1, 2, 3), responseStart: 1 }], { kind: "weighted-nll" });
  const { memory } = policy;
  await policy.close();
  expect(policy.memory).toEqual(memory);
  await long.close();
  await expect(Policy.load(DIR, { kvCacheMiB: 1 << 24 })).rejects.toMatchObject({
    code: "SIRI_OUT_OF_MEMORY",
    message: expect.stringMatching(/Planned together: weights .* MiB, position tables .* MiB, KV cache 1677\d{4}\.\d MiB, activations/),
  });
});
