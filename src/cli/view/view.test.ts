import { PassThrough } from "node:stream";
import { expect, test } from "vitest";
import type { ProgressEvent } from "../../run/progress.js";
import { byType, duration, short, TimeLeft } from "./format.js";
import { lineView } from "./lines.js";
import { TerminalView } from "./terminal.js";

const EVENTS: readonly ProgressEvent[] = [
  { kind: "start", from: 0, iterations: 30, phase: "warmup" },
  { kind: "note", level: "info", text: "Policy: 1 parameter" },
  { kind: "note", level: "warning", text: "careful" },
  { kind: "activity", doing: "rollout", done: 3, total: 8 },
  {
    kind: "evaluation",
    iteration: 0,
    split: "unseen",
    mode: "plain",
    success: 0.256,
    tasks: 40,
    successByType: { cool: 0.1, clean: 0.5 },
  },
  {
    kind: "iteration",
    iteration: 1,
    iterations: 30,
    phase: "warmup",
    seconds: 12,
    summary: {
      success: 0.41,
      successByType: { clean: 0.3 },
      reward: 4.123,
      kl: 0.00032,
      clipFraction: 0.0131,
      entropy: 0.61,
      zeroVarianceGroups: 0.25,
      tokensPerSecond: 5321.7,
      skills: 3,
    },
  },
  { kind: "phase", phase: "mining", iteration: 2 },
  { kind: "iteration", iteration: 30, iterations: 30, phase: "mining", seconds: 8, summary: { success: 1 } },
  { kind: "checkpoint", step: 30, dir: "runs/a/checkpoints/step-30" },
  { kind: "end", finished: true, iteration: 30, dir: "runs/a" },
];

test("without a terminal: one line per iteration and evaluation, nothing for what only moves a display", () => {
  const lines: string[] = [];
  const report = lineView((line) => lines.push(line));
  for (const event of EVENTS) report(event);
  expect(lines).toEqual([
    "30 iterations, beginning with warmup",
    "Policy: 1 parameter",
    "warning: careful",
    "evaluation after iteration 0, unseen plain: success 26% of 40  (clean 50%  cool 10%)",
    "iteration 1/30  warmup  success 41%  reward 4.12  kl 3.2e-4  clipped 0.0131  entropy 0.61  flat groups 25%  skills 3  tokens/s 5322  12 s  left 6 min",
    "phase: mining (from iteration 2)",
    "iteration 30/30  mining  success 100%  8.0 s",
  ]);
});

test("on a terminal: the iteration, what goes on, the numbers and the types are drawn, notes are kept above", async () => {
  const stream = Object.assign(new PassThrough(), {
    isTTY: true,
    columns: 160,
    rows: 40,
    cursorTo: () => true,
    moveCursor: () => true,
    clearLine: () => true,
  });
  let text = "";
  stream.on("data", (data: Buffer) => {
    text += data.toString();
  });
  const view = new TerminalView(stream as unknown as NodeJS.WriteStream);
  for (const event of EVENTS.slice(0, 7)) view.report(event);
  await new Promise((done) => setTimeout(done, 400)); // a few frames
  for (const wanted of ["iteration 1/30  mining  left 6 min", "rollout 3/8", "success 41%  reward 4.12", "clean 30%"])
    expect(text).toContain(wanted);
  for (const kept of ["warning: careful", "evaluation after iteration 0", "phase: mining"]) expect(text).toContain(`${kept}`);
  text = "";
  view.report({ kind: "note", level: "info", text: "said in the last moment" });
  view.report(EVENTS.at(-1)!);
  expect(text).toContain("said in the last moment");
  view.report({ kind: "note", level: "info", text: "said after the end" });
  expect(text).toMatch(/said after the end\n$/);
  view.close();
  view.close();
});

test("time left is the mean of the last ten iterations", () => {
  const left = new TimeLeft();
  expect(left.guess(5)).toBeNull();
  left.add(1000);
  for (let i = 0; i < 10; i++) left.add(2);
  expect(left.guess(5)).toBe(10);
});

test("numbers as people read them", () => {
  expect([0, 9.94, 30, 89, 300, 5399, 7200].map(duration)).toEqual(["0.0 s", "9.9 s", "30 s", "89 s", "5 min", "90 min", "2.0 h"]);
  expect([0, 0.00032, 0.01314, 12.345, -4, 123456].map(short)).toEqual(["0", "3.2e-4", "0.0131", "12.3", "-4", "1.2e+5"]);
  expect(byType({ b: 0.5, a: 1 })).toBe("a 100%  b 50%");
});
