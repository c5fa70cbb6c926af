import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { type Comparison, comparisonPage } from "./markdown.js";
import { learningCurves } from "./plot.js";
import { PUBLISHED } from "./published.js";
import { type RunResult, readRun } from "./results.js";
import { interval, pairedDifference } from "./statistics.js";

test("interval: against values worked out by hand", () => {
  // 1, 2, 3: deviation 1, t(2) = 4.303, half width 4.303 / sqrt(3).
  const { mean, low, high, n } = interval([1, 2, 3]);
  expect([n, mean]).toEqual([3, 2]);
  expect(high - mean).toBeCloseTo(4.303 / Math.sqrt(3), 12);
  expect(mean - low).toBeCloseTo(high - mean, 12);
  expect(interval([0.5])).toEqual({ n: 1, mean: 0.5, low: Number.NaN, high: Number.NaN });
  // Beyond the table: t(59) = 2.0010.
  const alternating = Array.from({ length: 60 }, (_, i) => i % 2);
  const deviation = Math.sqrt((60 * 0.25) / 59);
  expect(interval(alternating).high - 0.5).toBeCloseTo((2.001 * deviation) / Math.sqrt(60), 4);
});

test("a paired difference is free of what both share", () => {
  const { mean, low, high } = pairedDifference([0.9, 0.5, 0.1], [0.8, 0.4, 0]);
  expect(mean).toBeCloseTo(0.1, 12);
  expect(high - low).toBeCloseTo(0, 12);
});

function run(final: number, skills: readonly number[] = []): RunResult {
  return {
    plain: [
      { iteration: 0, success: 0.2 },
      { iteration: 10, success: final },
    ],
    withSkills: skills.map((success) => ({ iteration: 10, success })),
    rollout: [],
    finalByType: { clean: final, cool: final / 2 },
    tasks: 40,
    seconds: 90,
  };
}

const comparison: Comparison = {
  environment: "household",
  seeds: [0, 1, 2],
  methods: [
    { method: "grpo", runs: [run(0.4), run(0.5), run(0.3)] },
    { method: "siri", runs: [run(0.6, [0.7]), run(0.7, [0.8]), run(0.3, [0.9])] },
  ],
  iterations: 10,
  episodes: 640,
  split: "valid_unseen",
  provenance: [["command", "`npm run reproduce`"]],
  baseName: "base policy",
  baselines: [],
  published: [],
  parameters: 1e6,
};

test("the page holds means, intervals, paired differences and the base policy", () => {
  const page = comparisonPage(comparison, "household.svg");
  expect(page).toContain("| base policy | 20.0% |");
  expect(page).toContain("| GRPO | 40.0% [15.2, 64.8] | 40.0%, 50.0%, 30.0% |  | 1.5 |");
  expect(page).toContain("| SIRI | 53.3% [1.6, 100.0] | 60.0%, 70.0%, 30.0% | 80.0% | 1.5 |");
  expect(page).toContain("| SIRI - GRPO | +13.3 [-15.4, +42.0] | 2 of 3 |");
  expect(page).toContain("| clean | 40.0% [15.2, 64.8] | 53.3% [1.6, 100.0] |");
  expect(page).toContain("10 iterations, 640 episodes");
  expect(page).toContain("![success over iterations](household.svg)");
});

test("scores, untrained policies and published figures have their place", () => {
  const scored = (success: number, score: number): RunResult => ({
    ...run(success),
    plain: [
      { iteration: 0, success: 0.2, score: 0.31 },
      { iteration: 10, success, score },
    ],
  });
  const page = comparisonPage(
    {
      ...comparison,
      methods: [{ method: "grpo", runs: [scored(0.4, 0.6), scored(0.5, 0.7), scored(0.3, 0.5)] }],
      baselines: [{ name: "not taught", success: { rate: 0.05, low: 0.01, high: 0.2 }, score: 0.125 }],
      published: PUBLISHED.webshop!,
      parameters: 2e6,
    },
    "x.svg",
  );
  expect(page).toContain("| not taught | 5.0% [1.0, 20.0] | 12.5% |");
  expect(page).toContain("| base policy | 20.0% | 31.0% |");
  expect(page).toContain("| GRPO | 40.0% [15.2, 64.8] | 60.0% [35.2, 84.8] |");
  expect(page.indexOf("not taught")).toBeLessThan(page.indexOf("| base policy"));
  expect(page).toContain("| SIRI | Qwen2.5-7B-Instruct | 81.3% | 89.9% | arXiv 2606.02355 |");
  expect(page).toContain("2.0 million parameters");
  expect(page).toContain("750 to 3,500 times as large");
  expect(comparisonPage(comparison, "x.svg")).not.toContain("Published");
});

test("one seed has no interval", () => {
  const page = comparisonPage({ ...comparison, seeds: [0], methods: [{ method: "gigpo", runs: [run(0.5)] }] }, "x.svg");
  expect(page).toContain("| GiGPO | 50.0% | 50.0% |");
  expect(page).not.toContain("NaN");
});

test("the picture is an SVG with a line per method, a band each and the diagnostic", () => {
  const svg = learningCurves(comparison);
  expect(svg).toMatch(/^<svg [^>]*xmlns="http:\/\/www\.w3\.org\/2000\/svg"/);
  for (const text of ["GRPO", "SIRI", "SIRI with skills (diagnostic)", "success on valid_unseen, %"]) expect(svg).toContain(text);
  expect(svg.match(/fill-opacity="0\.15"|opacity="0\.15"/g)).toHaveLength(2);
  expect(svg).not.toContain("NaN");
});

test("a run's folder is read from its record files", () => {
  const dir = mkdtempSync(join(tmpdir(), "siri-report-"));
  const lines = [
    { iteration: 0, phase: "rl", "eval/plain/success": 0.25, "eval/plain/tasks": 8, "eval/plain/success/clean": 0.1 },
    { iteration: 1, phase: "rl", "rollout/success": 0.3 },
    { iteration: 2, "rollout/success": 0.4, "eval/plain/success": 0.5, "eval/plain/tasks": 8, "eval/plain/success/clean": 0.75 },
  ];
  writeFileSync(join(dir, "metrics.jsonl"), lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
  writeFileSync(
    join(dir, "timings.jsonl"),
    '{"iteration":1,"seconds":{"rollout":2,"update":1}}\n{"iteration":2,"seconds":{"rollout":3}}\n',
  );
  expect(readRun(dir)).toEqual({
    plain: [
      { iteration: 0, success: 0.25 },
      { iteration: 2, success: 0.5 },
    ],
    withSkills: [],
    rollout: [
      { iteration: 1, success: 0.3 },
      { iteration: 2, success: 0.4 },
    ],
    finalByType: { clean: 0.75 },
    tasks: 8,
    seconds: 6,
  });
  writeFileSync(join(dir, "metrics.jsonl"), '{"iteration":1}\n');
  expect(() => readRun(dir)).toThrow(/holds no evaluation/);
});
