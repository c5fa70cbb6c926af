/** What a policy refuses: every wrong argument, folder and file is a SiriError with a code, and nothing hangs or ends the process. */
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { goldenDir, temporaryFolder } from "../../test/support/policy.js";
import { Policy } from "./policy.js";

const DIR = goldenDir("qwen2-tied");
// The types forbid most of what is tried here; JavaScript does not.
type Anything = { [method: string]: (...args: unknown[]) => Promise<unknown> };
let policy: Policy;
let loose: Anything;

beforeAll(async () => {
  policy = await Policy.load(DIR, { threads: 2 });
  loose = policy as unknown as Anything;
});
afterAll(() => policy.close());

async function refused(work: () => Promise<unknown>, code: string): Promise<void> {
  const error = await work().then(
    () => undefined,
    (e: unknown) => e,
  );
  expect(error).toMatchObject({ name: "SiriError", code });
}

const row = (fields: object = {}) => ({ tokens: Int32Array.of(1, 2, 3, 4), responseStart: 2, ...fields });
const NOT_OBJECTS = [undefined, null, 5, "text", []];

describe("wrong arguments", () => {
  it.each([undefined, null, 5, {}, "123", new Float32Array([1]), [1.5], [null]])("prompt %s", async (prompt) => {
    await refused(() => loose.sample!(prompt, { maxTokens: 2, seed: 1 }), "SIRI_ARGUMENT");
  });

  it("options, rows, losses and optimisers that are no objects", async () => {
    for (const value of NOT_OBJECTS) {
      await refused(() => loose.sample!([1], value), "SIRI_ARGUMENT");
      await refused(() => loose.score!([value]), "SIRI_ARGUMENT");
      await refused(() => loose.train!([row()], value), "SIRI_ARGUMENT");
      await refused(() => loose.update!(value), "SIRI_ARGUMENT");
      if (!Array.isArray(value)) await refused(() => loose.score!(value), "SIRI_ARGUMENT");
    }
  });

  it("a signal that is none, a stop list that is none", async () => {
    await refused(() => loose.sample!([1], { maxTokens: 2, seed: 1, signal: {} }), "SIRI_ARGUMENT");
    await refused(() => loose.sample!([1], { maxTokens: 2, seed: 1, stop: 5 }), "SIRI_ARGUMENT");
    await refused(() => loose.score!([row()], { signal: "now" }), "SIRI_ARGUMENT");
  });

  it.each([0.5, 2, -1, Number.NaN])("a mask of %s", async (m) => {
    await refused(() => loose.train!([row({ mask: Float32Array.of(m, 1) })], { kind: "weighted-nll" }), "SIRI_ARGUMENT");
  });

  it("a beta that is 1 in float32", async () => {
    await policy.train([row()], { kind: "weighted-nll" });
    await refused(() => policy.update({ lr: 1e-3, beta2: 1 - 1e-12 }), "SIRI_ARGUMENT");
    await policy.zeroGradients();
  });
});

describe("wrong places", () => {
  it.each([undefined, 5, "", "a\0b"])("path %s", async (path) => {
    await refused(() => loose.save!(path), "SIRI_ARGUMENT");
    await refused(() => loose.saveOptimiser!(path), "SIRI_ARGUMENT");
    await refused(() => loose.loadOptimiser!(path), "SIRI_ARGUMENT");
    await refused(() => Policy.load(path as string), "SIRI_ARGUMENT");
  });

  it("saving under a file, or where nothing can be made", async () => {
    const dir = await temporaryFolder();
    const file = join(dir, "file");
    await writeFile(file, "");
    for (const place of [file, join(file, "below"), "/proc/nothing/here"]) await refused(() => policy.save(place), "SIRI_FILE");
    await mkdir(join(dir, "folder"));
    await refused(() => policy.saveOptimiser(join(dir, "folder")), "SIRI_FILE");
    expect((await readdir(dir)).sort()).toEqual(["file", "folder"]);
  });
});

describe("broken folders", () => {
  async function folder(files: Record<string, string | Uint8Array>): Promise<string> {
    const dir = await temporaryFolder();
    await writeFile(join(dir, "config.json"), await readFile(join(DIR, "config.json")));
    for (const [name, data] of Object.entries(files)) await writeFile(join(dir, name), data);
    return dir;
  }
  function weights(header: unknown): Uint8Array {
    const text = Buffer.from(JSON.stringify(header));
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(text.length));
    return Buffer.concat([length, text, Buffer.alloc(64)]);
  }

  it.each([
    null,
    [],
    5,
    { a: null },
    { a: 5 },
    { a: { dtype: "F32", shape: ["2"], data_offsets: [0, 8] } },
    { a: { dtype: "F32", shape: [2], data_offsets: ["0", "8"] } },
    { a: { dtype: "F32", shape: [1], data_offsets: [0.5, 4.5] } },
    { a: { dtype: "F32", shape: [-2, -1], data_offsets: [0, 8] } },
    { a: { dtype: "??", shape: [1], data_offsets: [8, 0] } },
    { __metadata__: 3 },
  ])("a safetensors header of %j", async (header) => {
    const dir = await folder({ "model.safetensors": weights(header) });
    await refused(() => Policy.load(dir), "SIRI_FILE");
  });

  it("weights that are a folder", async () => {
    const dir = await folder({});
    await mkdir(join(dir, "model.safetensors"));
    await refused(() => Policy.load(dir), "SIRI_FILE");
  });

  it.each(["null", "5", "{", '{"weight_map":{}}', '{"weight_map":{"a":5}}', '{"weight_map":{"a":"absent.safetensors"}}'])(
    "an index of %s",
    async (index) => {
      const dir = await folder({ "model.safetensors.index.json": index });
      await refused(() => Policy.load(dir), "SIRI_FILE");
    },
  );

  it.each([
    { num_hidden_layers: 1e9 },
    { hidden_size: 2 ** 40 },
    { head_dim: 2 ** 24 },
    { max_position_embeddings: 2 ** 40 },
    {
      rope_scaling: { rope_type: "llama3", factor: 8, low_freq_factor: 4, high_freq_factor: 4, original_max_position_embeddings: 64 },
    },
  ])("a config with %j", async (fields) => {
    const config = JSON.parse(await readFile(join(DIR, "config.json"), "utf8"));
    const dir = await folder({ "config.json": JSON.stringify({ ...config, ...fields }) });
    await refused(() => Policy.load(dir), "SIRI_MODEL_CONFIG");
  });

  it("a generation_config.json that is not JSON; one without an end-of-sequence id leaves config.json's", async () => {
    const model = await readFile(join(DIR, "model.safetensors"));
    const broken = await folder({ "model.safetensors": model, "generation_config.json": "{" });
    await refused(() => Policy.load(broken), "SIRI_FILE");
    const silent = await folder({ "model.safetensors": model, "generation_config.json": '{"eos_token_id":null}' });
    const loaded = await Policy.load(silent);
    expect(loaded.eosTokens).toEqual(policy.eosTokens);
    await loaded.close();
  });
});

it("a signal shared by hundreds of calls ends them all, without a warning of too many listeners", async () => {
  const warnings: Error[] = [];
  const note = (warning: Error) => warnings.push(warning);
  process.on("warning", note);
  const controller = new AbortController();
  const calls = Array.from({ length: 200 }, (_, seed) =>
    policy.sample([1, 2, 3], { maxTokens: 500, seed, stop: [], signal: controller.signal }),
  );
  controller.abort(new Error("enough"));
  for (const outcome of await Promise.allSettled(calls))
    expect(outcome).toMatchObject({ status: "rejected", reason: { message: "enough" } });
  await new Promise((resolve) => setImmediate(resolve));
  process.off("warning", note);
  expect(warnings).toEqual([]);
});
