/**
 * What internalisation saves: one household policy, every step of some games, asked with the plain prompt and with skills in it. Prompt
 * length, and the time of one reply when one game is played at a time and no prompt's beginning is remembered, as where a policy is served
 * without this engine. Plain and skilled are asked in turns; the plain reply is what is played.
 */
import { template as templateByName } from "../agent/registry.js";
import type { SkillText } from "../agent/agent.js";
import household, { type HouseholdTask, Rng, skillFor, TASK_TYPES } from "../env/household/index.js";
import type { StepResult } from "../env/environment.js";
import { Policy } from "../policy/policy.js";
import { Tokenizer } from "../policy/tokenizer.js";
import { median } from "./report.js";

export interface SkillCost {
  readonly skills: number;
  /** Medians over the steps. */
  readonly promptTokens: number;
  readonly milliseconds: number;
  /** Of the time to the plain prompt's at the same step. */
  readonly ratio: number;
}

export interface SkillCostOptions {
  readonly policy: string;
  readonly template: string;
  readonly games: number;
  readonly steps: number;
  readonly skills: readonly number[];
  readonly threads: number;
  /** Every reply has so many tokens, so that only the prompt differs. */
  readonly replyTokens: number;
}

/** Right skills for the task's type first, then for others, as a retrieval that fills its places would show. */
function skillsFor(task: HouseholdTask, count: number): SkillText[] {
  const rng = new Rng(task.data.seed);
  const types = [task.type, ...TASK_TYPES.filter((type) => type !== task.type)];
  return Array.from({ length: count }, (_, i) => skillFor(types[i % types.length]!, { rng }));
}

export async function benchSkillCost(options: SkillCostOptions): Promise<SkillCost[]> {
  const policy = await Policy.load(options.policy, { threads: options.threads, sharePrefixes: false });
  const tokenizer = await Tokenizer.load(options.policy);
  const template = templateByName(options.template);
  const module = household();
  const tasks = await module.tasks("unseen");
  const environment = await module.create();
  const counts = [0, ...options.skills];
  const tokens = counts.map((): number[] => []);
  const times = counts.map((): number[] => []);
  try {
    for (let game = 0; game < options.games; game++) {
      const task = tasks.at(game) as HouseholdTask;
      const first = await environment.reset(task);
      const episode = template.begin(first, { historyLength: 2 });
      for (let step = 0, done = false; step < options.steps && !done; step++) {
        const prompts = counts.map((count) => tokenizer.chat(episode.prompt(skillsFor(task, count))));
        const ask = (i: number, stop: readonly number[]) =>
          policy.sample(prompts[i]!, { maxTokens: options.replyTokens, temperature: 0, stop, seed: 0 });
        for (const place of counts.keys()) {
          const i = (place + step) % counts.length; // in turns: nobody is always the first after a pause
          const start = performance.now();
          await ask(i, []);
          times[i]!.push(performance.now() - start);
          tokens[i]!.push(prompts[i]!.length);
        }
        const reply = await ask(0, tokenizer.eosTokens);
        const { action, valid } = template.parse(tokenizer.decode(reply.tokens, { skipSpecial: true }));
        const next: StepResult = await environment.step(action);
        episode.record(action, valid, next);
        done = next.done;
      }
    }
  } finally {
    await policy.close();
  }
  return counts.map((skills, i) => ({
    skills,
    promptTokens: median(tokens[i]!),
    milliseconds: median(times[i]!),
    ratio: median(times[i]!.map((time, at) => time / times[0]![at]!)),
  }));
}

export function skillCostReport(rows: readonly SkillCost[]): string {
  const lines = rows.map(
    ({ skills, promptTokens, milliseconds, ratio }) =>
      `${skills === 0 ? "plain" : `${skills} skill${skills > 1 ? "s" : ""}`}`.padEnd(10) +
      `${promptTokens.toFixed(0).padStart(14)}${milliseconds.toFixed(2).padStart(12)}${ratio.toFixed(2).padStart(10)}`,
  );
  return [`${"prompt".padEnd(10)}${"prompt tokens".padStart(14)}${"ms a reply".padStart(12)}${"to plain".padStart(10)}`, ...lines].join(
    "\n",
  );
}
