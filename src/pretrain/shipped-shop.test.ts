/** The shop policy that is shipped: it loads through the path of any other model and can do what its table says. */
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { compactShop } from "../agent/compact-shop.js";
import { skillLine } from "../agent/skills.js";
import shop from "../env/shop/index.js";
import { Policy } from "../policy/policy.js";
import { Tokenizer } from "../policy/tokenizer.js";
import { baseReport, DEFAULT_REPORT } from "./report.js";
import { SHOP_CURRICULUM } from "./shop/curriculum.js";
import { lessonsOf } from "./shop/skills.js";

const TINY = fileURLToPath(new URL("../../models/shop-tiny", import.meta.url));
let policy: Policy;
let tokenizer: Tokenizer;
beforeAll(async () => {
  policy = await Policy.load(TINY);
  tokenizer = await Tokenizer.load(TINY);
});
afterAll(() => policy?.close());

describe("models/shop-tiny", () => {
  it("agrees with its tokenizer, to which every word of the shop is one token", () => {
    expect(tokenizer.vocabSize).toBeLessThanOrEqual(policy.vocabSize);
    expect(tokenizer.eosTokens).toEqual(policy.eosTokens);
    expect(tokenizer.encode(" rain jacket with soft lining")).toHaveLength(5);
  });

  it("keeps the format, profits from a right skill and not from a bad one, and writes skills", async () => {
    const options = { ...DEFAULT_REPORT, lessons: lessonsOf(SHOP_CURRICULUM), games: 30, writerGames: 40, maxSteps: 15 };
    const { arms, written } = await baseReport(policy, tokenizer, compactShop, shop(), options);
    expect(arms.plain.malformed).toBeLessThan(0.02);
    // Far outside chance at the rates of the table (.94, .40, .19) with 30 games.
    expect(arms.right.success.rate).toBeGreaterThan(0.75);
    expect(arms.plain.success.rate).toBeLessThan(arms.right.success.rate - 0.2);
    expect(arms.bad.success.rate).toBeLessThan(arms.right.success.rate - 0.3);
    expect(arms.plain.score).toBeGreaterThan(arms.plain.success.rate);
    expect(written.parsed.n).toBeGreaterThan(1);
    expect(written.parsed.rate).toBeGreaterThan(0.8);
    const [skill] = Object.values(written.byType).flat();
    expect(compactShop.parseSkills(skillLine(skill!))).toEqual([skill]);
  });
});
