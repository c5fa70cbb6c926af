/**
 * Phase 1, self-skill mining: the policy reads its own successes and writes skills, condition and strategy, which enter the bank as
 * candidates. The paper's frozen snapshot is the policy at the moment of mining: no update runs between the first token and the last,
 * so no copy is needed. Knows no paired rollout.
 */
import type { AgentTemplate, ChatMessage } from "../agent/agent.js";
import type { Config } from "../config/schema.js";
import type { RolloutParts } from "../rl/rollout.js";
import { seedFor } from "../rl/seeds.js";
import type { SkillBank, SkillEvent } from "./skill-bank.js";
import { episodeSummary, type SuccessBuffer } from "./warmup.js";

/** Writes one reply per prompt; null where the prompt was too long for it. */
export type SkillWriter = (prompts: readonly (readonly ChatMessage[])[], iteration: number) => Promise<(string | null)[]>;

export interface MiningResult {
  /** Successes that were summarised. */
  readonly trajectories: number;
  /** Replies without one readable skill, and prompts that did not fit. */
  readonly unreadable: number;
  readonly tooLong: number;
  readonly mined: number;
  readonly duplicates: number;
  readonly events: readonly SkillEvent[];
}

/** Mines once, for the rollouts of `iteration`. */
export async function mine(
  writer: SkillWriter,
  template: AgentTemplate,
  buffer: SuccessBuffer,
  bank: SkillBank,
  iteration: number,
  settings: Config["mining"],
): Promise<MiningResult> {
  const wants = (taskType: string) =>
    settings.maxLivePerType === 0 || bank.live().filter((skill) => skill.taskType === taskType).length < settings.maxLivePerType;
  const drawn = buffer.draw(settings.trajectories, wants);
  const replies = await writer(
    drawn.map((success) => template.skillPrompt(episodeSummary(success))),
    iteration,
  );
  const events: SkillEvent[] = [];
  let unreadable = 0;
  drawn.forEach(({ task, taskType }, i) => {
    const reply = replies[i];
    const skills = reply ? template.parseSkills(reply) : [];
    if (reply && skills.length === 0) unreadable++;
    for (const skill of skills) {
      if (wants(taskType)) events.push(bank.add(skill, { taskType, sourceTask: task }, iteration, settings.duplicateSimilarity));
    }
  });
  const count = (kind: SkillEvent["event"]) => events.filter(({ event }) => event === kind).length;
  return {
    trajectories: drawn.length,
    unreadable,
    tooLong: replies.filter((reply) => reply === null).length,
    mined: count("mined"),
    duplicates: count("dropped"),
    events: [...events, ...bank.evict(iteration)],
  };
}

/** The policy as its own skill writer. */
export function policyWriter(
  { policy, tokenizer }: Pick<RolloutParts, "policy" | "tokenizer">,
  settings: Pick<Config["mining"], "temperature" | "maxTokens">,
  runSeed: number,
  signal?: AbortSignal,
): SkillWriter {
  return (prompts, iteration) =>
    Promise.all(
      prompts.map(async (messages, index) => {
        const prompt = tokenizer.chat(messages);
        if (prompt.length + settings.maxTokens > policy.maxPositions) return null;
        const { tokens } = await policy.sample(prompt, {
          maxTokens: settings.maxTokens,
          temperature: settings.temperature,
          stop: tokenizer.eosTokens,
          seed: seedFor("mining", runSeed, iteration, index),
          ...(signal ? { signal } : {}),
        });
        return tokenizer.decode(tokens, { skipSpecial: true });
      }),
    );
}
