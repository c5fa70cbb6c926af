/** The addon in worker threads and at the end of a process. */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { Worker } from "node:worker_threads";
import { describe, expect, it } from "vitest";
import { goldenDir } from "../../test/support/policy.js";
import { Policy } from "./policy.js";

const dir = goldenDir("qwen2-tied");
const module = new URL("./policy.ts", import.meta.url).href;
const run = promisify(execFile);

/** Source of a program that loads TypeScript by tsx; `body` sees Policy and dir. */
const program = (body: string) => `
  import { register } from "tsx/esm/api";
  register();
  const { Policy } = await import(${JSON.stringify(module)});
  const dir = ${JSON.stringify(dir)};
  ${body}`;

const root = fileURLToPath(new URL("../../", import.meta.url));
const worker = (body: string) => new Worker(new URL(`data:text/javascript,${encodeURIComponent(workerSource(body))}`));

/** A worker started from a data: URL cannot resolve packages by name, so tsx is given by its file. */
const workerSource = (body: string) => program(body).replace('"tsx/esm/api"', JSON.stringify(import.meta.resolve("tsx/esm/api")));

const sampleBody = `
  const { parentPort } = await import("node:worker_threads");
  const policy = await Policy.load(dir, { threads: 2, kvCacheMiB: 8 });
  const s = await policy.sample([5, 6, 7], { maxTokens: 20, seed: 4, stop: [] });`;

describe("worker threads", () => {
  it("each have an engine of their own, with the same results as the main thread", async () => {
    const policy = await Policy.load(dir, { kvCacheMiB: 8 });
    const here = await policy.sample([5, 6, 7], { maxTokens: 20, seed: 4, stop: [] });
    const there = await Promise.all(
      [1, 2].map(
        () =>
          new Promise<number[]>((resolve, reject) => {
            const w = worker(`${sampleBody} parentPort.postMessage([...s.tokens]);`);
            w.once("message", resolve);
            w.once("error", reject);
          }),
      ),
    );
    expect(there).toEqual([[...here.tokens], [...here.tokens]]);
    await policy.close();
  });

  it("may be terminated while their engine works", async () => {
    const w = worker(`${sampleBody}
      for (let i = 0; i < 20; i++) policy.sample([5, 6, 7, i], { maxTokens: 3000, seed: i, stop: [] }).catch(() => {});
      parentPort.postMessage("busy");`);
    await new Promise((resolve, reject) => {
      w.once("message", resolve);
      w.once("error", reject);
    });
    await new Promise((done) => setTimeout(done, 20));
    await w.terminate();
    const policy = await Policy.load(dir, { kvCacheMiB: 8 });
    expect((await policy.sample([5], { maxTokens: 2, seed: 1, stop: [] })).tokens.length).toBe(2);
    await policy.close();
  });
});

describe("the end of a process", () => {
  const execute = (body: string) =>
    run(process.execPath, ["--input-type=module", "--eval", program(body)], { cwd: root, timeout: 30_000, env: process.env });

  it("comes by itself when a policy is idle and open", async () => {
    const { stdout } = await execute(`
      const policy = await Policy.load(dir, { kvCacheMiB: 8 });
      const s = await policy.sample([5, 6, 7], { maxTokens: 5, seed: 4, stop: [] });
      console.log("tokens", s.tokens.length);`);
    expect(stdout.trim()).toBe("tokens 5");
  });

  it("waits for promises that are not settled", async () => {
    const { stdout } = await execute(`
      const policy = await Policy.load(dir, { kvCacheMiB: 8 });
      policy.sample([5, 6, 7], { maxTokens: 300, seed: 4, stop: [] }).then((s) => console.log("tokens", s.tokens.length));`);
    expect(stdout.trim()).toBe("tokens 300");
  });

  it("may come by process.exit while the engine works", async () => {
    const { stdout } = await execute(`
      const policy = await Policy.load(dir, { kvCacheMiB: 8 });
      for (let i = 0; i < 20; i++) policy.sample([5, 6, 7, i], { maxTokens: 3000, seed: i, stop: [] });
      setTimeout(() => { console.log("out"); process.exit(0); }, 50);`);
    expect(stdout.trim()).toBe("out");
  });
});

it("a missing addon is one error with every place tried and the command that builds it", async () => {
  const result = await run(
    process.execPath,
    ["--input-type=module", "--eval", program(`await Policy.load(dir).catch((e) => console.log(e.code, e.message));`)],
    { cwd: root, env: { ...process.env, SIRI_NATIVE: "/nonexistent/siri.node" } },
  );
  expect(result.stdout).toMatch(/^SIRI_NATIVE cannot load.*\/nonexistent\/siri\.node: no such file.*npm run build/s);
});
