/** What siri doctor tells of the machine it runs on. */
import { readFileSync } from "node:fs";
import { availableParallelism, totalmem } from "node:os";
import { expect, test } from "vitest";
import { machineFacts, slowness } from "./machine.js";

test("versions, processor, memory and GPUs of this machine", () => {
  const { node, processor, memory, gpu } = machineFacts();
  expect(node).toContain(`${process.versions.node} (${process.platform} ${process.arch}, `);
  if (process.platform === "linux") expect(node).toMatch(/, (glibc 2\.\d+|no glibc)\)$/);
  expect(processor).toContain(`, ${availableParallelism()} usable cores`);
  if (process.platform === "linux" && process.arch === "x64")
    expect(processor.includes(" avx2")).toBe(/^flags.* avx2 /m.test(readFileSync("/proc/cpuinfo", "utf8")));
  expect(memory).toMatch(new RegExp(`^${(totalmem() / 2 ** 30).toFixed(1)} GiB, \\d+\\.\\d GiB free`));
  expect(gpu).toMatch(/^none found \(.+\)$|^.+, sm_\d+, \d+ MiB, \d+ MiB free, driver [\d.]+/);
});

test("what is slow is said with its reason", () => {
  const cores = availableParallelism();
  const whole = slowness({ isa: "avx2", threads: cores });
  expect(whole.join()).not.toMatch(/SIRI_(THREADS gives|ISA)/);
  expect(slowness({ isa: "avx2", threads: cores - 1 })).toEqual(
    expect.arrayContaining([`the engine: SIRI_THREADS gives it ${cores - 1} of ${cores} cores`]),
  );
  if (process.arch === "x64" && machineFacts().processor.includes(" avx2"))
    expect(slowness({ isa: "portable", threads: cores })).toEqual(
      expect.arrayContaining(["everything: SIRI_ISA asks for the portable kernels"]),
    );
  expect(slowness(undefined).join()).not.toMatch(/SIRI_/);
});
