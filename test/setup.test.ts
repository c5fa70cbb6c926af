/** The set-up script on a small project of its own: what it says when a tool is missing, what it skips, two at once. */
import { type SpawnSyncReturns, spawn, spawnSync } from "node:child_process";
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join, resolve } from "node:path";
import { expect, test } from "vitest";

const REPOSITORY = resolve(import.meta.dirname, "..");
const SOURCE = 'extern "C" int answer() { return 42; }\n';

/** A project with one C++ file and one TypeScript file, and the repository's node_modules. */
function project(): string {
  const root = mkdtempSync(join(tmpdir(), "siri-setup-"));
  cpSync(join(REPOSITORY, "scripts"), join(root, "scripts"), { recursive: true });
  symlinkSync(join(REPOSITORY, "node_modules"), join(root, "node_modules"));
  writeFileSync(join(root, "package.json"), '{"name": "small", "type": "module", "binary": {"napi_versions": [8]}}\n');
  const compilerOptions = { target: "ES2023", module: "nodenext", types: [], rootDir: "src", outDir: "dist" };
  writeFileSync(join(root, "tsconfig.json"), JSON.stringify({ compilerOptions, include: ["src"] }));
  writeFileSync(join(root, "tsconfig.build.json"), '{"extends": "./tsconfig.json"}');
  mkdirSync(join(root, "src", "cli"), { recursive: true });
  writeFileSync(join(root, "src", "cli", "main.ts"), 'export const main = (args: string[]) => console.log("main", args.join(" "));\n');
  mkdirSync(join(root, "native"));
  writeFileSync(join(root, "native", "a.cpp"), SOURCE);
  writeFileSync(
    join(root, "CMakeLists.txt"),
    `cmake_minimum_required(VERSION 3.20)
project(small LANGUAGES CXX)
add_library(siri MODULE native/a.cpp)
set_target_properties(siri PROPERTIES PREFIX "" SUFFIX ".node")
`,
  );
  return root;
}

/** A PATH that holds the named programs of the real one and scripts of our own, and nothing else. */
function path(root: string, tools: readonly string[], scripts: Readonly<Record<string, string>> = {}): string {
  const bin = mkdtempSync(join(root, "bin-"));
  for (const tool of tools) {
    const found = (process.env.PATH ?? "")
      .split(delimiter)
      .map((folder) => join(folder, tool))
      .find((file) => existsSync(file));
    if (found !== undefined) symlinkSync(found, join(bin, tool));
  }
  for (const [name, text] of Object.entries(scripts)) {
    writeFileSync(join(bin, name), `#!/bin/sh\n${text}\n`);
    chmodSync(join(bin, name), 0o755);
  }
  return bin;
}

function setUp(root: string, env: NodeJS.ProcessEnv = {}, args: readonly string[] = []): SpawnSyncReturns<string> {
  return spawnSync(process.execPath, [join(root, "scripts", "setup.mjs"), ...args], {
    encoding: "utf8",
    env: { PATH: process.env.PATH, HOME: root, ...env },
  });
}

const TOOLS = ["sh", "ninja", "make", "c++", "g++", "cc", "gcc", "as", "ld", "ar", "ranlib"];
const posix = test.skipIf(process.platform === "win32");

posix("builds what is missing, then nothing, then only what changed", () => {
  const root = project();
  const first = setUp(root);
  expect(first.stderr).toMatch(/Building the native engine \(\d+ jobs?\) \.\.\. done in .* s\nCompiling TypeScript \.\.\. done/);
  expect(first.status).toBe(0);
  expect(existsSync(join(root, "build", "Release", "siri.node"))).toBe(true);

  expect(setUp(root)).toMatchObject({ status: 0, stderr: "", stdout: "" });

  writeFileSync(join(root, "native", "a.cpp"), `${SOURCE}// changed\n`);
  expect(setUp(root).stderr).toMatch(/^Building the native engine.*\n$/);
  writeFileSync(join(root, "src", "cli", "gone.ts"), "export const x = 1;\n");
  expect(setUp(root).stderr).toMatch(/^Compiling TypeScript.*\n$/);
  rmSync(join(root, "src", "cli", "gone.ts"));
  expect(setUp(root).stderr).toMatch(/^Compiling TypeScript.*\n$/);
  expect(existsSync(join(root, "dist", "cli", "gone.js"))).toBe(false);

  // A touched file with the content it had is no change.
  writeFileSync(join(root, "native", "a.cpp"), `${SOURCE}// changed\n`);
  expect(setUp(root).stderr).toBe("");
  expect(setUp(root, {}, ["--only", "nothing"])).toMatchObject({
    status: 1,
    stderr: expect.stringContaining("--only nothing is not a part"),
  });

  const run = spawnSync(process.execPath, [join(root, "scripts", "run.mjs"), "train", "--seed", "1"], { encoding: "utf8" });
  expect(run).toMatchObject({ status: 0, stdout: "main train --seed 1\n", stderr: "" });
});

posix("in a package that npm installed the engine is compiled only when that is asked for", () => {
  const root = project();
  rmSync(join(root, "tsconfig.build.json"));
  const built = () => existsSync(join(root, "build", "Release", "siri.node"));
  expect(setUp(root)).toMatchObject({ status: 0, stderr: "" });
  expect(built()).toBe(false);
  expect(setUp(root, { SIRI_BUILD_FROM_SOURCE: "1" })).toMatchObject({ status: 0, stderr: expect.stringMatching(/^Building the native/) });
  expect(built()).toBe(true);
  expect(setUp(root, { SIRI_BUILD_FROM_SOURCE: "1" })).toMatchObject({ status: 0, stderr: "" });
  rmSync(join(root, "build"), { recursive: true });
  expect(setUp(root, {}, ["--only", "native"])).toMatchObject({ status: 0, stderr: expect.stringMatching(/^Building the native/) });
  expect(existsSync(join(root, "dist"))).toBe(false);
});

posix("errors of the compilers are shown, and the next start tries again", () => {
  const root = project();
  writeFileSync(join(root, "native", "a.cpp"), "int broken( {\n");
  for (let attempt = 0; attempt < 2; attempt++) {
    const { status, stderr } = setUp(root);
    expect(status).toBe(1);
    expect(stderr).toMatch(/a\.cpp:1/);
    expect(stderr.trimEnd().split("\n").at(-1)).toMatch(/^The native engine could not be built/);
    expect(stderr).not.toMatch(/at .*\.mjs:\d+/);
  }
  writeFileSync(join(root, "native", "a.cpp"), SOURCE);
  writeFileSync(join(root, "src", "cli", "main.ts"), 'const n: number = "text";\n');
  const { status, stderr } = setUp(root);
  expect(status).toBe(1);
  expect(stderr).toMatch(/main\.ts[(:]1/);
  expect(existsSync(join(root, "dist"))).toBe(false);
  expect(existsSync(join(root, "dist-new"))).toBe(false);
});

posix.each([
  [
    "CMake",
    TOOLS,
    {},
    /^siri-rl needs CMake 3\.20 or newer to build its native engine: (install it with "apt-get install cmake"|run brew)/,
  ],
  ["a new enough CMake", TOOLS, { cmake: "echo cmake version 3.10.2" }, /needs CMake 3\.20 or newer \(this is 3\.10\)/],
  ["a compiler", ["sh", "cmake", "ninja"], {}, /needs a C\+\+20 compiler to build .*(build-essential|xcode-select)/],
  ["a compiler that knows C++20", ["sh", "cmake", "ninja"], { "c++": "exit 1" }, /needs a C\+\+20 compiler \(c\+\+ is not one/],
  ["make", TOOLS.filter((tool) => tool !== "make" && tool !== "ninja").concat("cmake"), {}, /needs make or ninja/],
  ["everything", ["sh"], {}, /needs CMake 3\.20 or newer and a C\+\+20 compiler and make or ninja/],
])("without %s: one line that says what to install", (_, tools, scripts, message) => {
  const root = project();
  const { status, stdout, stderr } = setUp(root, { PATH: path(root, tools, scripts as Record<string, string>) });
  expect(stderr).toMatch(message);
  expect(stderr.trimEnd().split("\n")).toHaveLength(1);
  expect(stdout).toBe("");
  expect(status).toBe(1);
});

posix("without npm, and with an npm that fails", () => {
  const root = project();
  rmSync(join(root, "node_modules"));
  writeFileSync(join(root, "package-lock.json"), "{}\n");
  expect(setUp(root, { PATH: path(root, TOOLS) })).toMatchObject({ status: 1, stderr: expect.stringContaining("siri-rl needs npm") });
  const failing = setUp(root, { PATH: path(root, TOOLS, { npm: "echo npm error network >&2; exit 1" }) });
  expect(failing.status).toBe(1);
  expect(failing.stderr).toMatch(/npm error network\nnpm could not install the packages/);
});

test.each(["setup.mjs", "run.mjs", "test.mjs"])("an old Node is told so by %s in one line", (script) => {
  const old = 'Object.defineProperty(process, "versions", { value: { ...process.versions, node: "18.20.1" } })';
  const { status, stderr } = spawnSync(
    process.execPath,
    ["--import", `data:text/javascript,${encodeURIComponent(old)}`, join(REPOSITORY, "scripts", script)],
    { encoding: "utf8" },
  );
  expect(stderr).toBe("siri-rl needs Node.js 20.17 or newer, this is 18.20.1: install a current one from https://nodejs.org.\n");
  expect(status).toBe(1);
});

posix("two set-ups at once: one waits, both succeed, the work is done once", async () => {
  const root = project();
  const start = () => {
    const child = spawn(process.execPath, [join(root, "scripts", "setup.mjs")], { env: { PATH: process.env.PATH, HOME: root } });
    let text = "";
    child.stderr.on("data", (data: Buffer) => {
      text += data.toString();
    });
    return new Promise<{ code: number | null; text: string }>((done) => child.on("close", (code) => done({ code, text })));
  };
  const results = await Promise.all([start(), start()]);
  expect(results.map(({ code }) => code)).toEqual([0, 0]);
  const all = results.map(({ text }) => text).join("");
  expect(all.match(/Building the native engine/g)).toHaveLength(1);
  expect(all).toMatch(/Another set-up is running in this folder \(process \d+\): waiting for it\./);
  expect(existsSync(join(root, ".setup-lock"))).toBe(false);
});

posix("the lock of a set-up that was killed is taken over", () => {
  const root = project();
  rmSync(join(root, "native"), { recursive: true });
  rmSync(join(root, "CMakeLists.txt"));
  writeFileSync(join(root, ".setup-lock"), "4194305\n");
  expect(setUp(root).status).toBe(0);
  expect(existsSync(join(root, ".setup-lock"))).toBe(false);
});

posix("npm run train does not run pretrain first, as npm would by its own rules", () => {
  const root = mkdtempSync(join(tmpdir(), "siri-npm-"));
  const { scripts } = JSON.parse(readFileSync(join(REPOSITORY, "package.json"), "utf8")) as { scripts: Record<string, string> };
  const named = Object.fromEntries(Object.keys(scripts).map((name) => [name, `echo runs ${name}`]));
  writeFileSync(join(root, "package.json"), JSON.stringify({ name: "small", scripts: named }));
  cpSync(join(REPOSITORY, ".npmrc"), join(root, ".npmrc"));
  for (const name of ["train", "pretrain", "test"]) {
    const { stdout } = spawnSync("npm", ["run", "--silent", name], { cwd: root, encoding: "utf8" });
    expect(stdout).toBe(`runs ${name}\n`);
  }
});

test("bin/siri.mjs is executable and starts with a hash-bang", () => {
  const file = join(REPOSITORY, "bin", "siri.mjs");
  expect(readFileSync(file, "utf8")).toMatch(/^#!\/usr\/bin\/env node\n/);
  expect(statSync(file).mode & 0o111).not.toBe(0);
});
