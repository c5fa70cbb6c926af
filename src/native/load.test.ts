/** The loader on packages of its own: every place, every reason why a place has no engine, and binaries that would end the process. */
import { execFileSync, spawnSync } from "node:child_process";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { expect, test, vi } from "vitest";
import { nativeBinary } from "../native.js";
import { loadBinary } from "./load.js";
import { PLATFORMS, packageRoot, places } from "./places.js";
import { cacheFolder, tryBinary } from "./trial.js";

const ENGINE = nativeBinary().path;
const scratch = mkdtempSync(join(tmpdir(), "siri-load-"));
const PLATFORM = places(scratch, {}).at(-1)!.name.replace("platform package ", "");
const prebuilt = test.runIf(PLATFORMS.some((platform) => PLATFORM.endsWith(platform)));
const linux = test.runIf(process.platform === "linux");

/** The folder of an installed siri-rl with these files. */
function installed(files: Readonly<Record<string, string | Buffer>> = {}): string {
  const root = mkdtempSync(join(scratch, "siri-rl-"));
  for (const [name, content] of Object.entries({ "package.json": '{"name": "siri-rl", "version": "1.2.3"}', ...files })) {
    mkdirSync(dirname(join(root, name)), { recursive: true });
    writeFileSync(join(root, name), content);
  }
  return root;
}

/** The platform package beside it. */
function withPackage(root: string, content: string | Buffer | undefined, version = "1.2.3"): string {
  const folder = join(root, "node_modules", PLATFORM);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "package.json"), JSON.stringify({ name: PLATFORM, version, main: "siri.node" }));
  if (content !== undefined) writeFileSync(join(folder, "siri.node"), content);
  return root;
}

const LOCAL = join("build", "Release", "siri.node");
const environment = () => ({ PATH: process.env.PATH, HOME: mkdtempSync(join(scratch, "home-")) });

/** The message for a package whose engine cannot be loaded. */
function failure(root: string, env: NodeJS.ProcessEnv = environment()): string {
  try {
    loadBinary(root, env);
  } catch (error) {
    expect(error).toMatchObject({ name: "SiriError", code: "SIRI_NATIVE" });
    return (error as Error).message;
  }
  throw new Error("the engine was loaded");
}

/** A library that runs `code` when it is loaded. */
function library(code: string): string {
  const folder = mkdtempSync(join(scratch, "library-"));
  writeFileSync(
    join(folder, "a.c"),
    `#include <stdlib.h>\n#include <unistd.h>\n__attribute__((constructor)) static void begin(void) { ${code} }\n`,
  );
  execFileSync(process.env.CC ?? "cc", ["-shared", "-fPIC", "-o", join(folder, "siri.node"), join(folder, "a.c")]);
  return join(folder, "siri.node");
}

prebuilt("a local build comes first, then the platform package of the same version; each passed over is told", () => {
  const engine = readFileSync(ENGINE);
  const both = withPackage(installed({ [LOCAL]: engine }), engine);
  const env = environment();
  expect(loadBinary(both, env)).toMatchObject({ name: `local build ${join(both, LOCAL)}`, path: join(both, LOCAL), passedOver: [] });
  const prebuiltOnly = withPackage(installed(), engine);
  expect(loadBinary(prebuiltOnly, env)).toMatchObject({
    name: expect.stringContaining(`platform package ${PLATFORM} `),
    path: join(prebuiltOnly, "node_modules", PLATFORM, "siri.node"),
    how: "tried in a child process now",
    passedOver: [`local build ${join(prebuiltOnly, LOCAL)}: no such file`],
  });
  const damaged = withPackage(installed({ [LOCAL]: engine.subarray(0, engine.length >> 1) }), engine);
  expect(loadBinary(damaged, env).passedOver).toEqual([expect.stringContaining("is cut short")]);
  expect(failure(prebuiltOnly, { ...env, SIRI_BUILD_FROM_SOURCE: "1" })).toContain(
    `${PLATFORM}: passed over, because SIRI_BUILD_FROM_SOURCE is set`,
  );
});

test("SIRI_NATIVE is the only place when it is set", () => {
  const root = installed({ [LOCAL]: readFileSync(ENGINE) });
  expect(loadBinary(root, { ...environment(), SIRI_NATIVE: ENGINE })).toMatchObject({ name: `SIRI_NATIVE ${ENGINE}`, passedOver: [] });
  expect(failure(root, { ...environment(), SIRI_NATIVE: "gone.node" })).toBe(
    "cannot load the compiled engine. Tried:\n  SIRI_NATIVE gone.node: no such file\nBuild it with: npx siri build (or unset SIRI_NATIVE)",
  );
});

prebuilt("nothing there: both places, why, and the command, which is another one in a clone", () => {
  const root = installed();
  expect(failure(root)).toBe(
    `cannot load the compiled engine. Tried:\n  local build ${join(root, LOCAL)}: no such file\n  platform package ${PLATFORM}: not installed: npm leaves it out ` +
      "with --omit=optional, or when package-lock.json was written on another platform (then delete it and node_modules, and run npm install)" +
      "\nBuild it with: npx siri build",
  );
  const clone = failure(installed({ "tsconfig.build.json": "{}" }));
  expect(clone).toMatch(/not installed, as always in a clone\nBuild it with: npm run build$/);
});

prebuilt.each([
  ["of another version", "engine", "1.2.4", "is version 1.2.4, and siri-rl is 1.2.3: run npm install siri-rl@1.2.3"],
  ["without its file", undefined, "1.2.3", "no such file"],
  ["that is empty", "", "1.2.3", "is empty"],
  ["that is a web page", "<!DOCTYPE html>", "1.2.3", "is no compiled library"],
])("a platform package %s", (_, content, version, reason) => {
  expect(failure(withPackage(installed(), content, version))).toMatch(new RegExp(`${PLATFORM}.*: ${reason}`));
});

test("on a system without prebuilt engines the message says for which there are", () => {
  const root = installed();
  vi.spyOn(process, "arch", "get").mockReturnValue("riscv64");
  try {
    expect(failure(root)).toMatch(
      /engine-\w+-riscv64\S*: there is none: engines are built for linux-x64-gnu, linux-arm64-gnu, darwin-arm64, win32-x64-msvc\n/,
    );
  } finally {
    vi.restoreAllMocks();
  }
});

linux("an engine for another processor, one cut short, and another addon", () => {
  const engine = readFileSync(ENGINE);
  const foreign = Buffer.from(engine);
  foreign.writeUInt16LE(process.arch === "arm64" ? 62 : 183, 18);
  expect(failure(installed({ [LOCAL]: foreign }))).toMatch(/siri\.node: was built for linux (arm64|x64), and this is linux/);
  for (const part of [0.1, 0.5, 0.99]) {
    const bytes = Math.floor(engine.length * part);
    expect(failure(installed({ [LOCAL]: engine.subarray(0, bytes) }))).toContain(
      `is cut short: ${bytes} of ${engine.length} bytes are there`,
    );
  }
  expect(failure(installed({ [LOCAL]: readFileSync(library("")) }))).toMatch(/Module did not self-register/);
});

linux.each([
  ["aborts", "abort();", "signal SIGABRT"],
  ["reads what is not there", "*(volatile int*)8 = 1;", "signal SIGSEGV"],
  ["has an instruction that this processor does not know", "__builtin_trap();", "signal SIG(ILL|TRAP)"],
  ["exits", "_exit(0);", "exit code 0"],
])("a library that %s when it is loaded is an error, and this process goes on", (_, code, end) => {
  expect(failure(installed({ [LOCAL]: readFileSync(library(code)) }))).toMatch(
    new RegExp(`siri\\.node: loading it ends the process \\(${end}\\): it is damaged or needs what this machine does not have`),
  );
});

linux("an engine whose bytes were damaged in the middle never ends this process", () => {
  const engine = readFileSync(ENGINE);
  for (let i = 1; i < 8; i++) {
    const damaged = Buffer.from(engine);
    damaged.fill(0xff, Math.floor((engine.length * i) / 8), Math.floor((engine.length * i) / 8) + 4096);
    const path = join(installed({ [LOCAL]: damaged }), LOCAL);
    // It may load, when what was damaged is not needed for that; the answer is an answer either way.
    expect(tryBinary(path, environment()).how).toBe("tried in a child process now");
  }
});

test("a binary that passed is not tried again until it changes", () => {
  const env = environment();
  const path = join(installed({ [LOCAL]: readFileSync(ENGINE) }), LOCAL);
  const how = () => tryBinary(path, env).how;
  expect([how(), how(), how()]).toEqual([
    "tried in a child process now",
    "tried in a child process before",
    "tried in a child process before",
  ]);
  expect(readdirSync(cacheFolder(env)!)).toHaveLength(1);
  const { atime, mtime } = statSync(path);
  utimesSync(path, atime, new Date(mtime.getTime() + 1000));
  expect([how(), how()]).toEqual(["tried in a child process now", "tried in a child process before"]);
  writeFileSync(join(cacheFolder(env)!, readdirSync(cacheFolder(env)!)[0]!), "{"); // a half-written record is no record
  expect([how(), how()]).toEqual(["tried in a child process now", "tried in a child process before"]);
  expect(readdirSync(cacheFolder(env)!)).toHaveLength(1);

  truncateSync(path, statSync(path).size - 1);
  copyFileSync(ENGINE, path);
  expect(how()).toBe("tried in a child process now");
});

test("a binary that failed is tried again", () => {
  const env = environment();
  const path = join(installed({ [LOCAL]: "no library" }), LOCAL);
  for (let i = 0; i < 2; i++)
    expect(tryBinary(path, env)).toMatchObject({ how: "tried in a child process now", reason: expect.any(String) });
  expect(existsSync(cacheFolder(env)!)).toBe(false);
});

test.each([
  ["an empty HOME", () => ({ HOME: "" })],
  ["a HOME that is no folder", () => ({ HOME: ENGINE })],
  ["a HOME that is not absolute", () => ({ HOME: "somewhere" })],
  ["a cache folder that is not absolute", () => ({ HOME: "", XDG_CACHE_HOME: "somewhere" })],
])("with %s the trial is made each time, and nothing is left anywhere", (_, env) => {
  const path = join(installed({ [LOCAL]: readFileSync(ENGINE) }), LOCAL);
  for (let i = 0; i < 2; i++) expect(tryBinary(path, env() as NodeJS.ProcessEnv)).toEqual({ how: "tried in a child process now" });
  expect(existsSync("somewhere")).toBe(false);
});

test("inside a trial no further one is started", () => {
  expect(tryBinary(ENGINE, { ...environment(), SIRI_TRIAL: "1" })).toEqual({ how: "not tried, since no child process could be started" });
});

test("where child processes are not allowed the engine is loaded without a trial", () => {
  // Node's permission model; its flag was experimental in Node 20.
  const flag = process.allowedNodeEnvironmentFlags.has("--permission") ? "--permission" : "--experimental-permission";
  const compiled = mkdtempSync(join(scratch, "compiled-"));
  const options = [
    "--outDir",
    compiled,
    "--module",
    "nodenext",
    "--target",
    "es2023",
    "--types",
    "node",
    "--skipLibCheck",
    "--ignoreConfig",
  ];
  const compiler = join(packageRoot(), "node_modules", "typescript", "bin", "tsc");
  execFileSync(process.execPath, [compiler, join(import.meta.dirname, "trial.ts"), ...options]);
  const program = `const { tryBinary } = await import(process.argv[1]); console.log(tryBinary(process.argv[2], { HOME: "" }).how);`;
  const script = pathToFileURL(join(compiled, "trial.js")).href;
  const rights = [flag, "--allow-fs-read=*", "--allow-addons"].filter((name) =>
    process.allowedNodeEnvironmentFlags.has(name.split("=")[0]!),
  );
  const args = [...rights, "--no-warnings", "--input-type=module", "--eval", program, script, ENGINE];
  const { stdout, stderr } = spawnSync(process.execPath, args, { encoding: "utf8" });
  expect(stderr).toBe("");
  expect(stdout).toBe("not tried, since no child process could be started\n");
});
