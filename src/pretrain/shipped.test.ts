/** The folder that is shipped: it loads through the path of any other model and can do what the base table says. */
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { compact } from "../agent/compact.js";
import { skillLine } from "../agent/skills.js";
import household from "../env/household/index.js";
import { Policy } from "../policy/policy.js";
import { Tokenizer } from "../policy/tokenizer.js";
import { baseReport, DEFAULT_REPORT } from "./report.js";

const TINY = fileURLToPath(new URL("../../models/tiny", import.meta.url));
let policy: Policy;
let tokenizer: Tokenizer;
beforeAll(async () => {
  policy = await Policy.load(TINY);
  tokenizer = await Tokenizer.load(TINY);
});
afterAll(() => policy?.close());

describe("models/tiny", () => {
  it("agrees with its tokenizer", () => {
    expect(tokenizer.vocabSize).toBeLessThanOrEqual(policy.vocabSize);
    expect(tokenizer.eosTokens).toEqual(policy.eosTokens);
    const text = "take mug 12 from countertop 1";
    expect(tokenizer.encode(` ${text}`)).toHaveLength(6);
    expect(tokenizer.decode(tokenizer.chat([{ role: "user", content: text }]))).toBe(`<|user|>${text}<|assistant|>`);
  });

  it("keeps the format, profits from a right skill and not from a bad one, and writes skills", async () => {
    const options = { ...DEFAULT_REPORT, games: 24, writerGames: 36 };
    const { arms, written } = await baseReport(policy, tokenizer, compact, household({ unseen: 24 }), options);
    expect(arms.plain.malformed).toBeLessThan(0.02);
    // Far outside chance at the table's rates (.86, .30, .12), far inside it for a folder that does not work.
    expect(arms.right.success.rate).toBeGreaterThan(0.6);
    expect(arms.plain.success.rate).toBeLessThan(arms.right.success.rate - 0.2);
    expect(arms.bad.success.rate).toBeLessThan(arms.right.success.rate - 0.4);
    expect(written.parsed.n).toBeGreaterThan(1);
    expect(written.parsed.rate).toBeGreaterThan(0.8);
    const [skill] = Object.values(written.byType).flat();
    expect(compact.parseSkills(skillLine(skill!))).toEqual([skill]);
  });
});
