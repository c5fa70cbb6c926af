// Runs siri_check, the native program that holds every operation against its double-precision twin, and proves that it can
// fail. Needs the native build (`npm run build:native`); SIRI_CHECK names the program when it lies elsewhere.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { describe, expect, it } from "vitest";

const program = process.env.SIRI_CHECK ?? resolve(import.meta.dirname, "..", "build", "Release", "siri_check");

// The operations of native/backend.h, then what stands beside it.
const operations = [
  "embed",
  "embed_backward",
  "gather_rows",
  "scatter_add_rows",
  "store_rows",
  "rms_norm",
  "rms_norm_backward",
  "linear",
  "linear_backward_input",
  "linear_backward_weight",
  "rope",
  "attention",
  "attention_backward",
  "swiglu",
  "swiglu_backward",
  "head_score",
  "head_train",
  "head_distill",
  "head_sample",
  "policy_token_loss",
  "gigpo_advantages",
  "divergence_rows",
  "philox",
  "thread_pool",
  "sum_of_squares",
  "adamw",
  "engine",
];

// Those that have a CUDA kernel, then the emulator itself.
const emulated = [
  "embed",
  "embed_backward",
  "gather_rows",
  "scatter_add_rows",
  "store_rows",
  "sum_rows",
  "rms_norm",
  "rms_norm_backward",
  "linear",
  "linear_backward_input",
  "linear_backward_weight",
  "gemm",
  "rope",
  "attention",
  "attention_backward",
  "swiglu",
  "swiglu_backward",
  "head_score",
  "head_train",
  "head_distill",
  "head_sample",
  "divergence_rows",
  "sum_of_squares",
  "adamw",
  "engine",
  "grouped_advantages",
  "device_messages",
  "emulator",
  "mutants",
];

function run(...args: string[]): { status: number | null; lastLine: string; output: string } {
  const { status, stdout, stderr } = spawnSync(program, args, { encoding: "utf8" });
  return { status, lastLine: stdout.trimEnd().split("\n").at(-1) ?? "", output: stdout + stderr };
}

describe.skipIf(!existsSync(program))(`siri_check (${program}; skipped when it is not built)`, () => {
  it("passes on every instruction set of this machine", { timeout: 180_000 }, () => {
    const { status, lastLine, output } = run();
    expect(output).not.toContain("FAILED");
    expect(lastLine).toMatch(/^[1-9]\d* passed, 0 failed$/);
    expect(status).toBe(0);
    for (const operation of operations) expect(output).toMatch(new RegExp(`^${operation} `, "m"));
  });

  it.each(operations)("fails when the output of %s is perturbed", { timeout: 60_000 }, (operation) => {
    const { status, lastLine } = run("--isa", "portable", "--filter", operation, "--inject", operation);
    expect(lastLine).toMatch(/^\d+ passed, [1-9]\d* failed$/);
    expect(status).toBe(1);
  });

  it("passes on the emulated CUDA device, every kernel and every mutant", { timeout: 300_000 }, () => {
    const { status, lastLine, output } = run("--device", "emulated");
    expect(output).not.toContain("FAILED");
    expect(lastLine).toMatch(/^[1-9]\d* passed, 0 failed$/);
    expect(status).toBe(0);
    for (const operation of emulated) expect(output).toMatch(new RegExp(`^${operation} `, "m"));
  });

  it.each(emulated)("fails when the emulated output of %s is perturbed", { timeout: 300_000 }, (operation) => {
    const { status, lastLine } = run("--device", "emulated", "--filter", operation, "--inject", operation);
    expect(lastLine).toMatch(/^\d+ passed, [1-9]\d* failed$/);
    expect(status).toBe(1);
  });

  it("times what a real model needs, a line of JSON each", { timeout: 120_000 }, () => {
    const { status, output } = run("--bench", "--small", "--dtype", "float32");
    const lines = output
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as { name: string; seconds: number; dtype: string });
    const names = ["logprob forward", "logprob forward and backward", "adamw", "adamw, bfloat16 moments", "decode step", "training step"];
    expect(lines.map(({ name }) => name)).toEqual(names);
    // A decode step is a difference of two times: beside other work it may come out below zero.
    for (const { seconds, dtype } of lines) expect([Math.abs(seconds) < 60, dtype]).toEqual([true, "float32"]);
    expect(status).toBe(0);
  });

  it.each([
    [["--isa", "sse9"], "unknown instruction set"],
    [["--inject", "nothing", "--filter", "rope"], "names no operation"],
    [["--filter", "nothing"], "leaves nothing to check"],
    [["--threads", "0"], "whole number from 1 to 256"],
    [["--device", "tpu"], "this build has cpu, emulated"],
    [["--what"], "unknown argument"],
  ])("refuses %j", { timeout: 60_000 }, (args, message) => {
    const { status, output } = run(...args);
    expect(output).toContain(message);
    expect(status).toBe(2);
  });
});
