/** scripts/gpu-check.sh with made-up tools in place of a CUDA machine's: which parts run, what is written, and the exit code. */
import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";

const script = resolve(import.meta.dirname, "..", "scripts", "gpu-check.sh");
let root: string;
let tools: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "siri-gpu-check-"));
  tools = join(root, "tools");
  mkdirSync(tools);
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function tool(path: string, body: string): void {
  writeFileSync(path, `#!/bin/sh\n${body}\n`);
  chmodSync(path, 0o755);
}

/** A machine with one H200 on which everything passes. */
function machine(): void {
  tool(join(tools, "nvcc"), "echo release 12.4");
  tool(join(tools, "cmake"), 'echo "cmake $*"');
  tool(join(tools, "nvidia-smi"), 'case "$*" in *compute_cap*) echo 9.0 ;; *) echo "NVIDIA H200, 550.1" ;; esac');
  tool(join(tools, "compute-sanitizer"), 'echo "$2: 0 errors"');
  mkdirSync(join(root, "build", "Release"), { recursive: true });
  program('case "$*" in *--bench*) echo "{}" ;; *) echo "3 passed, 0 failed" ;; esac');
}
const program = (body: string) => tool(join(root, "build", "Release", "siri_check"), body);

function check(parts = "build check sanitizer bench"): { code: number | null; summary: string; err: string } {
  const env = { PATH: `${tools}:/usr/bin:/bin`, SIRI_BUILD: join(root, "build"), SIRI_PARTS: parts, SIRI_NODE: "" };
  const { status, stderr } = spawnSync("bash", [script, join(root, "results")], { encoding: "utf8", env });
  const file = join(root, "results", "summary.txt");
  return { code: status, summary: existsSync(file) ? readFileSync(file, "utf8") : "", err: stderr };
}
const result = (name: string) => readFileSync(join(root, "results", name), "utf8");

it("runs every part and keeps what each of them said", () => {
  machine();
  const { code, summary } = check();
  expect(summary.match(/^\w+/gm)).toEqual(["build", "check", "memcheck", "racecheck", "initcheck", "synccheck", "bench"]);
  expect(summary.match(/passed in \d+ s/g)).toHaveLength(7);
  expect(result("build.txt")).toContain("-DCMAKE_CUDA_ARCHITECTURES=90a-real");
  expect(result("check.txt")).toBe("3 passed, 0 failed\n");
  expect(result("racecheck.txt")).toBe("racecheck: 0 errors\n");
  expect(result("machine.txt")).toContain("NVIDIA H200");
  expect(code).toBe(0);
});

it("goes on after a part that failed, shows its end, and ends with 1", () => {
  machine();
  program('case "$*" in *--bench*) echo "{}" ;; *) echo "rope  FAILED"; echo "1 passed, 1 failed"; exit 1 ;; esac');
  const { code, summary, err } = check("build check bench");
  expect(summary).toMatch(/^build +passed.*\ncheck +FAILED after \d+ s: check.txt\nbench +passed/);
  expect(err).toContain("rope  FAILED");
  expect(code).toBe(1);
});

it("leaves out what there is nothing for, and says so", () => {
  machine();
  rmSync(join(tools, "compute-sanitizer"));
  const { code, summary } = check("build check sanitizer goldens curves");
  expect(summary).toMatch(/sanitizer +left out: compute-sanitizer is not on PATH/);
  expect(summary).toMatch(/goldens +left out: no node/);
  expect(summary).not.toMatch(/trainer/);
  expect(code).toBe(0);
});

it.each([
  ["nvcc", "nvcc is not on PATH"],
  ["nvidia-smi", "no driver"],
])("ends with 2 without %s", (name, message) => {
  machine();
  rmSync(join(tools, name));
  const { code, err } = check();
  expect(err).toContain(message);
  expect(code).toBe(2);
});
