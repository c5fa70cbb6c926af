import { describe, expect, it } from "vitest";
import { characters, END, FakePolicy } from "../../test/support/fakes.js";
import type { ChatMessage } from "../agent/agent.js";
import { compact } from "../agent/compact.js";
import { configSchema } from "../config/schema.js";
import { type SkillWriter, mine, policyWriter } from "./mine.js";
import { SkillBank } from "./skill-bank.js";
import { SuccessBuffer } from "./warmup.js";

function buffer(tasks: readonly (readonly [id: string, type: string])[]): SuccessBuffer {
  const successes = tasks.map(([task, taskType]) => ({
    task,
    taskType,
    sentence: `do ${task}`,
    iteration: 1,
    steps: [{ text: "here", action: "go", valid: true }],
    mined: 0,
  }));
  return new SuccessBuffer(99, { successes, solved: {}, types: [] });
}

const bank = () => new SkillBank(configSchema.shape.bank.parse({}), 0.05);
const settings = (change: object = {}) => configSchema.shape.mining.parse({ trajectories: 4, ...change });

/** Answers each prompt by the task it names. */
const answering =
  (answers: Record<string, string | null>): SkillWriter =>
  async (prompts) =>
    prompts.map((messages) => answers[/do (\w+)/.exec(messages[0]!.content)![1]!] ?? null);

describe("mine", () => {
  it("turns successes into candidates of their type, and counts what cannot be read, fitted or used", async () => {
    const skills = bank();
    const tasks = buffer([
      ["a", "x"],
      ["b", "x"],
      ["c", "y"],
      ["d", "y"],
    ]);
    const writer = answering({ a: "when cold: warm up", b: "when cold: warm up", c: "I do not know", d: null });
    const result = await mine(writer, compact, tasks, skills, 7, settings());
    expect(result).toMatchObject({ trajectories: 4, mined: 1, duplicates: 1, unreadable: 1, tooLong: 1 });
    expect(skills.skills).toMatchObject([
      { id: "s0001", status: "candidate", condition: "cold", strategy: "warm up", taskType: "x", birth: 7 },
    ]);
    expect(result.events.map(({ event }) => event).sort()).toEqual(["dropped", "mined"]);
  });

  it("stops at the limit of live skills per type, within one mining, too", async () => {
    const skills = bank();
    const tasks = buffer(["a", "b", "c"].map((id) => [id, "x"] as const));
    const writer = answering({ a: "when a: one", b: "when b: two", c: "when c: three" });
    expect((await mine(writer, compact, tasks, skills, 1, settings({ maxLivePerType: 2 }))).mined).toBe(2);
    expect(await mine(writer, compact, tasks, skills, 2, settings({ maxLivePerType: 2 }))).toMatchObject({ trajectories: 0, mined: 0 });
  });

  it("does nothing with an empty buffer", async () => {
    const result = await mine(answering({}), compact, buffer([]), bank(), 1, settings());
    expect(result).toEqual({ trajectories: 0, unreadable: 0, tooLong: 0, mined: 0, duplicates: 0, events: [] });
  });
});

describe("policyWriter", () => {
  const prompt = (text: string): readonly ChatMessage[] => [{ role: "user", content: text }];

  it("asks the policy with seeds of its own and leaves out what does not fit", async () => {
    const policy = new FakePolicy();
    const asked: { seed: bigint; length: number; temperature: number | undefined }[] = [];
    policy.sample = async (tokens, { seed, temperature }) => {
      asked.push({ seed: BigInt(seed), length: tokens.length, temperature });
      return { tokens: Int32Array.of(104, 105, END), logprobs: new Float32Array(3), finish: "stop" };
    };
    const write = policyWriter({ policy, tokenizer: characters }, { temperature: 0.7, maxTokens: 96 }, 5);
    expect(await write([prompt("a"), prompt("b".repeat(4001)), prompt("c")], 3)).toEqual(["hi", null, "hi"]);
    expect(asked.map(({ length, temperature }) => [length, temperature])).toEqual([
      [1, 0.7],
      [1, 0.7],
    ]);
    await write([prompt("a")], 4);
    expect(new Set(asked.map(({ seed }) => seed)).size).toBe(3);
  });
});
