/** Exported policies at play: game by game as the engine, the examples, and the browser where there is one. */
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { createRequire } from "node:module";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { evalConfig, evaluatePolicy } from "../src/cli/eval.js";
import { exportPolicy } from "../src/cli/export.js";
import { OnnxPolicy, type Ort } from "../src/onnx/policy.js";
import { ort } from "./support/onnx.js";
import { exported } from "./support/onnx.js";
import { goldenDir, readAll } from "./support/policy.js";

const REPOSITORY = resolve(import.meta.dirname, "..");
const root = mkdtempSync(join(tmpdir(), "siri-onnx-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));
const tiny = join(REPOSITORY, "models", "tiny");
const folder = join(root, "tiny");
if (ort !== null) await exportPolicy({ policy: tiny, onnx: folder, dtype: "float32" });

describe.skipIf(ort === null)("an exported policy", () => {
  it("plays 12 household games exactly as the engine does, and some are won", async () => {
    const settings = { set: ["agent.maxSteps=16"], temperature: 0, tasks: 12, split: "seen" };
    const ours = await evaluatePolicy(evalConfig({ ...settings, policy: tiny }), {});
    const theirs = await evaluatePolicy(evalConfig({ ...settings, policy: folder }), { runtime: "onnx" });
    expect(theirs).toEqual(ours);
    expect(ours.games).toHaveLength(12);
    expect(ours.success.rate).toBeGreaterThan(0);
  });

  it("carries its run file, replies greedily only, and must have been exported", async () => {
    const config = evalConfig({ set: [], policy: folder });
    expect(config).toMatchObject({ agent: { template: "compact", maxSteps: 30 }, model: { path: folder } });
    await expect(evaluatePolicy(config, { runtime: "onnx" })).rejects.toMatchObject({ code: "CONFIG_RUNTIME" });
    const plain = evalConfig({ set: [], policy: tiny, temperature: 0 });
    await expect(evaluatePolicy(plain, { runtime: "onnx" })).rejects.toMatchObject({ code: "ONNX_NOT_EXPORTED" });
  });

  it("checks what it is asked, and stops when it is told to", async () => {
    const { loadOnnxPolicy } = await import("../src/onnx/load.js");
    const policy = await loadOnnxPolicy(folder, { threads: 1 });
    const ask = (prompt: number[], options: object = {}) => policy.sample(prompt, { maxTokens: 8, temperature: 0, seed: 0, ...options });
    await expect(ask([5], { temperature: 1 })).rejects.toMatchObject({ code: "ONNX_GREEDY" });
    await expect(ask([896])).rejects.toMatchObject({ code: "SIRI_ARGUMENT" });
    await expect(ask(new Array<number>(1020).fill(5))).rejects.toMatchObject({ code: "SIRI_TOO_LONG" });
    const stop = new AbortController();
    const asked = ask([5, 6, 7], { signal: stop.signal, stop: [], maxTokens: 900 });
    stop.abort(new Error("enough"));
    await expect(asked).rejects.toThrow("enough");
    await policy.close();
    await expect(ask([5])).rejects.toMatchObject({ code: "SIRI_CLOSED" });
  });

  it("continues greedily in onnxruntime-web's WebAssembly as in the engine", async () => {
    const web = createRequire(join(REPOSITORY, "extras", "onnxruntime", "package.json"))("onnxruntime-web") as Ort;
    const out = await exported(goldenDir("qwen3-tied"));
    const session = await web.InferenceSession.create(new Uint8Array(readFileSync(join(out, "model.onnx"))), {
      executionProviders: ["wasm"],
    });
    const greedy = [...(await readAll(`${goldenDir("qwen3-tied")}/expected.safetensors`)).get("greedy")!];
    const policy = new OnnxPolicy(web, session, { maxPositions: 4096 });
    const { tokens } = await policy.sample(greedy.slice(0, 3), { maxTokens: 24, temperature: 0, stop: [], seed: 0 });
    expect([...tokens]).toEqual(greedy.slice(3));
    await policy.close();
  });
});

// The examples import what `npm run setup` compiles; `npm test` has done so.
const compiled = existsSync(join(REPOSITORY, "dist", "onnx", "policy.js"));
const GAME = "unseen/15";

it.skipIf(ort === null || !compiled)("the Node example plays a game to its end (skipped without dist/)", () => {
  expect(readFileSync(join(REPOSITORY, "examples/onnx-node/play.mjs"), "utf8").trim().split("\n").length).toBeLessThanOrEqual(30);
  const result = spawnSync(process.execPath, [join(REPOSITORY, "examples/onnx-node/play.mjs"), folder, GAME], { encoding: "utf8" });
  expect(result.stderr).toBe("");
  expect(result.stdout.trim().split("\n").at(-1)).toBe("won");
});

const browser = [process.env.CHROME_PATH, "chromium", "chromium-browser", "google-chrome"].find(
  (name) => name !== undefined && spawnSync(name, ["--version"]).status === 0,
);

it.skipIf(ort === null || !compiled || browser === undefined)(
  "the browser example plays the same game (skipped without dist/ or Chromium; CHROME_PATH names one)",
  async () => {
    const { serve } = (await import(join(REPOSITORY, "examples/onnx-browser/serve.mjs"))) as {
      serve(root: string, port: number): Promise<import("node:http").Server>;
    };
    // The repository as the server sees it, with the exported policy in it.
    for (const name of ["dist", "examples", "extras", "node_modules"]) symlinkSync(join(REPOSITORY, name), join(root, name));
    const server = await serve(root, 0);
    const { port } = server.address() as AddressInfo;
    const url = `http://127.0.0.1:${port}/examples/onnx-browser/?exported=/tiny&game=${GAME}`;
    const args = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", `--user-data-dir=${join(root, "profile")}`];
    const page = await new Promise<string>((done) => {
      // Waits for the game: the page's own clock runs only while nothing is in progress.
      const child = spawn(browser!, [...args, "--virtual-time-budget=3000000", "--dump-dom", url], { stdio: ["ignore", "pipe", "ignore"] });
      let text = "";
      child.stdout.on("data", (data: Buffer) => {
        text += data.toString();
      });
      child.on("close", () => done(text));
    });
    server.close();
    const inNode = spawnSync(process.execPath, [join(REPOSITORY, "examples/onnx-node/play.mjs"), folder, GAME], {
      encoding: "utf8",
    }).stdout;
    const commands = (text: string) => [...text.matchAll(/^(?:.*<pre id="game">)?(?:>|&gt;) (.*)$/gm)].map((match) => match[1]);
    expect(page).toContain("\nwon\n");
    expect(commands(page)).toEqual(commands(inNode));
  },
);
