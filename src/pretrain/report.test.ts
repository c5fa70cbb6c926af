import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { compact } from "../agent/compact.js";
import household from "../env/household/index.js";
import { TASK_TYPES } from "../env/household/tasks.js";
import type { Tokenizer } from "../policy/tokenizer.js";
import type { PolicyHandle, SampleOptions } from "../policy/types.js";
import { DEFAULT_SIZE } from "./base.js";
import { ARMS, baseReport, DEFAULT_REPORT, reportMarkdown } from "./report.js";
import { makeBaseFolder } from "./train.js";

const dir = mkdtempSync(join(tmpdir(), "siri-report-"));
afterAll(() => rmSync(dir, { recursive: true }));
let tokenizer: Tokenizer;
beforeAll(async () => {
  tokenizer = await makeBaseFolder(dir, DEFAULT_SIZE, [
    { prompt: [{ role: "user", content: "task: look" }], reply: "<action>look</action>" },
  ]);
});

/** A policy that answers every prompt by a function of its text. */
function scripted(answer: (prompt: string) => string): { readonly policy: PolicyHandle; readonly prompts: string[] } {
  const prompts: string[] = [];
  const policy = {
    maxPositions: 8192,
    sample: async (prompt: Int32Array, _options: SampleOptions) => {
      const text = tokenizer.decode(prompt);
      prompts.push(text);
      const tokens = Int32Array.from([...tokenizer.encode(answer(text)), ...tokenizer.eosTokens]);
      return { tokens, logprobs: new Float32Array(tokens.length), finish: "stop" };
    },
  };
  return { policy: policy as unknown as PolicyHandle, prompts };
}

const OPTIONS = { ...DEFAULT_REPORT, games: 6, writerGames: 6, maxSteps: 3 };

describe("baseReport", () => {
  it("plays every row of the table on the same games, with the row's skills", async () => {
    const { policy, prompts } = scripted(() => "<think>x</think><action>look</action>");
    const report = await baseReport(policy, tokenizer, compact, household({ unseen: 6 }), OPTIONS);
    for (const arm of ARMS) {
      const { success, games, inadmissible, malformed, byType } = report.arms[arm];
      expect(success).toMatchObject({ n: 6, rate: 0 });
      expect([inadmissible, malformed]).toEqual([0, 0]);
      expect(games.map((game) => game.id)).toEqual(report.arms.plain.games.map((game) => game.id));
      expect(Object.keys(byType).sort()).toEqual([...TASK_TYPES].sort());
    }
    // Writer games and five rows, three steps each; no success, so nothing was written and the own row shows no skill.
    expect(prompts).toHaveLength(6 * 6 * 3);
    expect(prompts.filter((prompt) => prompt.includes("\nskill: when "))).toHaveLength(3 * 6 * 3);
    expect(report.written.parsed.n).toBe(0);
  });

  it("counts what cannot be done and what breaks the format", async () => {
    const { policy } = scripted((prompt) => (prompt.includes("step 1 obs") ? "<think>x</think><action>fly</action>" : "look"));
    const { arms } = await baseReport(policy, tokenizer, compact, household({ unseen: 6 }), OPTIONS);
    expect(arms.plain.inadmissible).toBeCloseTo(1 / 3);
    expect(arms.plain.malformed).toBeCloseTo(2 / 3);
  });
});

describe("reportMarkdown", () => {
  it("states n, temperature and the facts", async () => {
    const { policy } = scripted(() => "<think>x</think><action>look</action>");
    const text = reportMarkdown(await baseReport(policy, tokenizer, compact, household({ unseen: 6 }), OPTIONS), ["machine: a test"]);
    expect(text).toContain("| plain | 0% [0, 39] | 0.00 |");
    expect(text).toContain("6 games a row, 1 per task type");
    expect(text).toContain("temperature 1,");
    expect(text).toContain("- machine: a test");
  });
});
