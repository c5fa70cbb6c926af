/** The exported files themselves: numbers in half precision, messages as another reader sees them, metadata, external data, refusals. */
import { spawnSync } from "node:child_process";
import { cp, mkdir, readFile, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { decode, exported, ort } from "../../test/support/onnx.js";
import { floats, fromFloats, goldenCases, goldenDir, readAll, readRaw, temporaryFolder, writeRaw } from "../../test/support/policy.js";
import { exportPolicy } from "../cli/export.js";
import { packageFile, packageVersion } from "../cli/package.js";
import { Policy } from "../policy/policy.js";
import { float16ToFloat32 } from "../policy/safetensors.js";
import { exportOnnx } from "./export.js";
import { toFloat16 } from "./float16.js";
import { weightsOf } from "./graph.js";
import { readModelConfig } from "../policy/folder.js";
import { Message, model, tensor, graph } from "./proto.js";

describe("half precision", () => {
  it("is exact for every half", () => {
    const all = Uint16Array.from({ length: 0x10000 }, (_, i) => i).filter((h) => (h & 0x7c00) !== 0x7c00 || (h & 0x3ff) === 0);
    expect(toFloat16(float16ToFloat32(all))).toEqual(all);
    expect(toFloat16(Float32Array.of(Number.NaN))[0]! & 0x7fff).toBeGreaterThan(0x7c00);
  });

  it("rounds to the nearest, ties to even", () => {
    const halves = float16ToFloat32(Uint16Array.from({ length: 0x7c00 }, (_, i) => i));
    for (let i = 0; i + 1 < halves.length; i += 7) {
      const middle = (halves[i]! + halves[i + 1]!) / 2;
      const just = middle * 2 ** -23;
      expect([...toFloat16(Float32Array.of(middle, middle - just, middle + just, -middle))]).toEqual([
        i + (i % 2),
        i,
        i + 1,
        0x8000 | (i + (i % 2)),
      ]);
    }
    expect([...toFloat16(Float32Array.of(65519, 65520, -1e9, 2 ** -25, 2 ** -25 * 1.01, 1e-30))]).toEqual([
      0x7bff, 0x7c00, 0xfc00, 0, 1, 0,
    ]);
  });
});

describe("messages", () => {
  const bytes = (m: Message) => m.pieces.flatMap((piece) => [...(piece as Uint8Array)]);

  it("are those of the wire format", () => {
    // The examples of protobuf.dev/programming-guides/encoding: 150, "testing", an embedded message; and -2 in ten bytes.
    expect(bytes(new Message().int(1, 150))).toEqual([0x08, 0x96, 0x01]);
    expect(bytes(new Message().text(2, "testing"))).toEqual([0x12, 0x07, 0x74, 0x65, 0x73, 0x74, 0x69, 0x6e, 0x67]);
    expect(bytes(new Message().message(3, new Message().int(1, 150)))).toEqual([0x1a, 0x03, 0x08, 0x96, 0x01]);
    expect(bytes(new Message().int(1, -2))).toEqual([0x08, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]);
  });

  it("count bytes that are not read yet", () => {
    const big = { byteLength: 3 * 2 ** 30, read: async () => new Uint8Array() };
    const parts = { name: "g", nodes: [], inputs: [], outputs: [], initializers: [tensor("w", "float32", [1], big)] };
    const whole = model({ graph: graph(parts), irVersion: 8, opset: 17, producer: { name: "", version: "" }, metadata: {} });
    expect(whole.byteLength).toBe(whole.pieces.reduce((sum, piece) => sum + piece.byteLength, 0));
    expect(whole.byteLength).toBeGreaterThan(big.byteLength);
  });
});

it.each(goldenCases)("the weights of %s are those of the engine", async (name) => {
  const { config } = await readModelConfig(goldenDir(name));
  const policy = await Policy.load(goldenDir(name), { kvCacheMiB: 8 });
  expect(
    weightsOf(config.native)
      .map((t) => t.name)
      .sort(),
  ).toEqual([...policy.tensorNames()].sort());
  await policy.close();
});

describe.skipIf(ort === null)("the file, as another reader sees it,", () => {
  const read = async (folder: string) => decode(await readFile(join(folder, "model.onnx")));

  it.each(goldenCases)("of %s holds every weight once, bit for bit, and standard operators only", async (name) => {
    const { graph: g, opset_import: opset, ir_version: ir } = await read(await exported(goldenDir(name)));
    const weights = await readAll(join(goldenDir(name), "model.safetensors"));
    const stored = new Map(g.initializer.map((t) => [t.name, t]));
    expect(stored.size).toBe(g.initializer.length);
    for (const [key, values] of weights) {
      const t = stored.get(key)!;
      expect(t.data_type).toBe(1);
      expect(t.dims.reduce((a, b) => a * b, 1)).toBe(values.length);
      expect(Buffer.compare(t.raw_data!, Buffer.from(values.buffer, values.byteOffset, values.byteLength))).toBe(0);
    }
    const others = g.initializer.filter((t) => !weights.has(t.name) && t.dims.reduce((a, b) => a * b, 1) > 10).map((t) => t.name);
    expect(others).toEqual(["rope.cos", "rope.sin"]);
    expect(g.node.every(({ domain }) => domain === "")).toBe(true);
    expect([ir, opset]).toEqual([8, [{ domain: "", version: 17 }]]);
  });

  it("keeps big weights in a file of their own, each at a page, with the same bits", async () => {
    const folder = await exported(goldenDir("qwen2-untied"), { externalData: true, dtype: "float16" });
    const { graph: g } = await read(folder);
    const data = await readFile(join(folder, "model.onnx_data"));
    const weights = await readAll(join(goldenDir("qwen2-untied"), "model.safetensors"));
    let seen = 0;
    for (const t of g.initializer) {
      if (t.external_data.length === 0) continue;
      const place = Object.fromEntries(t.external_data.map(({ key, value }) => [key, value]));
      expect(place.location).toBe("model.onnx_data");
      expect(Number(place.offset) % 4096).toBe(0);
      const values = weights.get(t.name) as Float32Array | undefined;
      if (!values) continue;
      seen++;
      expect(t.data_type).toBe(t.dims.length > 1 ? 10 : 1);
      const expected = t.dims.length > 1 ? toFloat16(values) : values;
      const found = data.subarray(Number(place.offset), Number(place.offset) + Number(place.length));
      expect(Buffer.compare(found, Buffer.from(expected.buffer, expected.byteOffset, expected.byteLength)), t.name).toBe(0);
    }
    expect(seen).toBe(weights.size);
  });

  it("of the shipped policy tells how it is prompted and where it stops; tokenizer and run file lie beside it", async () => {
    const out = join(await temporaryFolder(), "tiny");
    const policy = packageFile("models/tiny");
    await exportPolicy({ policy, onnx: out, dtype: "float32" });
    const { metadata_props: metadata, producer_name: producer, producer_version: version } = await read(out);
    expect([producer, version]).toEqual(["siri-rl", packageVersion()]);
    const template = JSON.parse(await readFile(join(policy, "tokenizer_config.json"), "utf8")).chat_template;
    expect(Object.fromEntries(metadata.map(({ key, value }) => [key, value]))).toEqual({
      "siri.version": packageVersion(),
      "siri.prompt_template": "compact",
      "siri.prompt_first_step": "task: {task}\nstep 1 obs: {observation}\ncan: {action 1}; {action 2}",
      "siri.prompt_later_step":
        "task: {task}\nobs: {previous observation}\nact: {previous action}\nstep 2 obs: {observation}\ncan: {action 1}; {action 2}",
      "siri.history_length": "2",
      "siri.max_response_tokens": "32",
      "siri.stop_tokens": "[4]",
      "siri.stop_texts": '["<|end|>"]',
      "siri.chat_template": template,
    });
    expect((await readdir(out)).sort()).toEqual([
      "config.json",
      "config.yaml",
      "generation_config.json",
      "model.onnx",
      "tokenizer.json",
      "tokenizer_config.json",
    ]);
  });
});

// The checker is a Python package; where it is not to be had this says so.
const checker = spawnSync("python3", ["-c", "import onnx"]).status === 0;
it.skipIf(!checker).each(goldenCases)("onnx.checker accepts %s (skipped without Python's onnx)", async (name) => {
  for (const options of [{}, { dtype: "float16" as const, externalData: true }]) {
    const path = join(await exported(goldenDir(name), options), "model.onnx");
    const result = spawnSync("python3", ["-c", "import onnx, sys; onnx.checker.check_model(sys.argv[1], full_check=True)", path], {
      encoding: "utf8",
    });
    expect(result.stderr).toBe("");
    expect(result.status).toBe(0);
  }
});

describe("refusals", () => {
  const source = goldenDir("qwen2-tied");
  const attempt = async (policy: string, out?: string, dtype: "float32" | "float16" = "float32") =>
    exportOnnx({ policy, out: out ?? join(await temporaryFolder(), "out"), dtype, version: "0" });

  it("a folder that exists is left alone", async () => {
    const out = await temporaryFolder();
    await writeFile(join(out, "mine"), "");
    await expect(attempt(source, out)).rejects.toMatchObject({ code: "ONNX_EXPORT_EXISTS", message: expect.stringContaining(out) });
    expect(await readdir(out)).toEqual(["mine"]);
  });

  it("a place that cannot be written", async () => {
    const file = join(await temporaryFolder(), "file");
    await writeFile(file, "");
    await expect(attempt(source, join(file, "out"))).rejects.toMatchObject({ code: "ONNX_EXPORT_WRITE" });
  });

  it("a family that the engine does not know, and a folder without a model", async () => {
    const dir = await temporaryFolder();
    await expect(attempt(dir)).rejects.toMatchObject({ code: "SIRI_FILE" });
    const config = JSON.parse(await readFile(join(source, "config.json"), "utf8"));
    await writeFile(join(dir, "config.json"), JSON.stringify({ ...config, model_type: "gpt2" }));
    await expect(attempt(dir)).rejects.toMatchObject({
      code: "SIRI_MODEL_CONFIG",
      message: expect.stringContaining("qwen2, qwen3 and llama"),
    });
  });

  it("a weight beyond half precision, by name, and nothing is left behind", async () => {
    const dir = await temporaryFolder();
    await cp(join(source, "config.json"), join(dir, "config.json"));
    const name = "model.layers.1.mlp.up_proj.weight";
    const change = (values: Float32Array) => values.map((x, i) => (i === 5 ? 70000 : x));
    const raw = await readRaw(join(source, "model.safetensors"));
    await writeRaw(
      join(dir, "model.safetensors"),
      raw.map((t) => (t.name === name ? fromFloats(t, change(floats(t))) : t)),
    );
    const parent = join(dir, "exports");
    await mkdir(parent);
    await expect(attempt(dir, join(parent, "out"), "float16")).rejects.toMatchObject({
      code: "ONNX_EXPORT_RANGE",
      message: expect.stringContaining(`${name}[5] is 70000`),
    });
    expect(await readdir(parent)).toEqual([]);
    await attempt(dir, join(parent, "out"));
  });
});
