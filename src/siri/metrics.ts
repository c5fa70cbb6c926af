/**
 * One line of `metrics.jsonl`: the names, what they mean, and how they are counted. Names are fixed; a term that does not exist in a
 * phase is absent. Nothing here depends on a clock. Iteration 0 is the base policy: it has evaluations only.
 */
import type { Trajectory } from "../rl/trajectory.js";
import { arm, byGroup } from "../rl/trajectory.js";
import { zeroVarianceShare } from "../rl/batch.js";
import type { EvaluationResult } from "../rl/evaluate.js";
import type { UpdateStatistics } from "../rl/update.js";
import type { Comparison } from "./arms.js";
import type { Internalisation } from "./internalise.js";
import type { MiningResult } from "./mine.js";
import { interval, type SkillBank, type SkillEvent } from "./skill-bank.js";
import type { Config } from "../config/schema.js";

/** Every name, in the order of the line. `<type>` stands for a task type. */
export const METRICS = {
  iteration: "Iterations done; 0 is the base policy.",
  phase: "rl (baselines), warmup, mining or internalise: the phase of this iteration.",
  "rollout/success": "Share of episodes won, both arms.",
  "rollout/success/<type>": "The same by task type.",
  "rollout/success_plain_arm": "Share won without skills in the prompt.",
  "rollout/success_skill_arm": "Share won with skills in the prompt; absent when none was shown.",
  "rollout/reward": "Mean raw return of an episode.",
  "rollout/score": "Mean of the task's own score at the end (WebShop); success where there is none.",
  "rollout/steps": "Mean steps of an episode.",
  "rollout/truncated_rate": "Share of episodes cut off by the step limit.",
  "rollout/malformed_rate": "Share of steps whose reply broke the format.",
  "rollout/inadmissible_rate": "Share of steps whose action was not in the offered list.",
  "rollout/zero_variance_groups": "Share of groups whose members all got one return.",
  "rollout/shortened_prompts": "Prompts built without history because they did not fit.",
  "rollout/prompt_tokens": "Prompt tokens of all steps.",
  "rollout/response_tokens": "Sampled tokens of all steps.",
  "advantage/mean": "Mean advantage over step rows.",
  "advantage/mean_abs": "Mean size of an advantage.",
  "update/rows": "Step rows trained on.",
  "update/loss": "Mean loss of an optimiser step, all terms.",
  "update/policy_loss": "Mean clipped policy term.",
  "update/entropy": "Nats per response token.",
  "update/clip_fraction": "Share of tokens whose ratio was clipped.",
  "update/approx_kl": "Mean of ratio - 1 - log ratio: the distance moved since the rollouts.",
  "update/logprob_gap":
    "Mean distance of a token's log-prob as sampled and as trained on, at the first optimiser step: 0 on the CPU, where both are the same bits.",
  "update/logprob_gap_max": "Largest of them.",
  "update/kl": "Mean k3 to the base policy (clamped at 10, as in the loss); absent when update.klCoef is 0.",
  "update/kl_q99": "99% quantile of a token's k3, not clamped.",
  "update/kl_max": "Largest k3 of a token, not clamped.",
  "update/grad_norm": "Mean gradient norm before clipping.",
  "update/grad_norm_max": "Largest of them.",
  "update/steps": "Optimiser steps.",
  "update/tokens": "Tokens through the engine in training.",
  "update/prefix_tokens_saved": "Tokens of rows that were not, because another row of the pass began with them, too.",
  "internalise/lambda": "Weight of the internalisation loss.",
  "internalise/loss": "Its value before lambda.",
  "internalise/gated": "Share of skill-arm steps that passed the gate.",
  "internalise/rows": "Rows learnt under the plain prompt: gate passed, weight and lambda above 0.",
  "internalise/tokens": "Action tokens in them.",
  "internalise/weight": "Mean weight of those rows.",
  "skills/candidate": "Candidates in the bank after the iteration.",
  "skills/active": "Active skills.",
  "skills/retired": "Retired skills.",
  "skills/groups": "Groups with two arms.",
  "skills/delta": "Mean paired difference over them.",
  "skills/promoted": "Promotions of this iteration.",
  "skills/retired_now": "Retirements of this iteration.",
  "skills/evicted": "Skills removed because the bank was full.",
  "skills/utility_best": "Highest utility of an active skill.",
  "skills/utility_best_low": "Lower end of its 95% interval.",
  "skills/utility_mean": "Mean utility of active skills.",
  "mining/trajectories": "Successes summarised after this iteration, for the next.",
  "mining/mined": "Skills that entered the bank.",
  "mining/duplicates": "Skills dropped because the bank knew them.",
  "mining/unreadable": "Replies without a readable skill.",
  "mining/too_long": "Successes whose transcript did not fit the context.",
  "buffer/solved": "Distinct tasks solved without skills since the run began.",
  "buffer/size": "Successes held for the writer.",
  "eval/<mode>/success":
    "Share of the split's tasks won; mode is plain, with_skills or, at the end, base_with_skills (the base policy with the final skills).",
  "eval/<mode>/low": "Lower end of the 95% Wilson interval.",
  "eval/<mode>/high": "Upper end.",
  "eval/<mode>/tasks": "Tasks played, each once.",
  "eval/<mode>/score": "Mean of the task's own score.",
  "eval/<mode>/steps": "Mean steps.",
  "eval/<mode>/malformed_rate": "Share of steps whose reply broke the format.",
  "eval/<mode>/inadmissible_rate": "Share of steps whose action was not in the offered list.",
  "eval/<mode>/shown": "Share of tasks for which the bank had a skill; not for plain.",
  "eval/<mode>/success/<type>": "Share won by task type.",
} as const;

export type MetricRecord = Record<string, number | string>;

const mean = (values: readonly number[]) => (values.length === 0 ? 0 : values.reduce((sum, value) => sum + value, 0) / values.length);
const share = <T>(items: readonly T[], test: (item: T) => boolean) => (items.length === 0 ? 0 : items.filter(test).length / items.length);

/** Share of episodes won by task type, types in alphabetical order. */
export function successByType(trajectories: readonly Trajectory[]): Record<string, number> {
  const types = [...new Set(trajectories.map(({ plan }) => plan.task.type))].sort();
  return Object.fromEntries(
    types.map((type) => [
      type,
      share(
        trajectories.filter(({ plan }) => plan.task.type === type),
        won,
      ),
    ]),
  );
}

function won(trajectory: Trajectory): boolean {
  return trajectory.success;
}

export function rolloutMetrics(trajectories: readonly Trajectory[]): MetricRecord {
  const steps = trajectories.flatMap((trajectory) => trajectory.steps);
  const skilled = trajectories.filter((trajectory) => arm(trajectory) === "skill");
  const record: MetricRecord = { "rollout/success": share(trajectories, won) };
  for (const [type, rate] of Object.entries(successByType(trajectories))) record[`rollout/success/${type}`] = rate;
  record["rollout/success_plain_arm"] = share(
    trajectories.filter((trajectory) => arm(trajectory) === "plain"),
    won,
  );
  if (skilled.length > 0) record["rollout/success_skill_arm"] = share(skilled, won);
  return {
    ...record,
    "rollout/reward": mean(trajectories.map(({ reward }) => reward)),
    "rollout/score": mean(trajectories.map(({ score }) => score)),
    "rollout/steps": steps.length / trajectories.length,
    "rollout/truncated_rate": share(trajectories, ({ truncated }) => truncated),
    "rollout/malformed_rate": share(steps, ({ wellFormed }) => !wellFormed),
    "rollout/inadmissible_rate": share(steps, ({ admissible }) => !admissible),
    "rollout/zero_variance_groups": zeroVarianceShare(byGroup(trajectories)),
    "rollout/shortened_prompts": trajectories.reduce((sum, { shortened }) => sum + shortened, 0),
    "rollout/prompt_tokens": steps.reduce((sum, { prompt }) => sum + prompt.length, 0),
    "rollout/response_tokens": steps.reduce((sum, { response }) => sum + response.length, 0),
  };
}

export function updateMetrics(advantages: ArrayLike<number>, statistics: UpdateStatistics): MetricRecord {
  const values = Array.from(advantages);
  return {
    "advantage/mean": mean(values),
    "advantage/mean_abs": mean(values.map(Math.abs)),
    "update/rows": values.length,
    "update/loss": statistics.loss,
    "update/policy_loss": statistics.policyLoss,
    "update/entropy": statistics.entropy,
    "update/clip_fraction": statistics.clipFraction,
    "update/approx_kl": statistics.approxKl,
    "update/logprob_gap": statistics.logprobGap,
    "update/logprob_gap_max": statistics.logprobGapMax,
    ...(statistics.kl === null ? {} : { "update/kl": statistics.kl }),
    ...(statistics.klQ99 === null ? {} : { "update/kl_q99": statistics.klQ99 }),
    ...(statistics.klMax === null ? {} : { "update/kl_max": statistics.klMax }),
    "update/grad_norm": statistics.gradNorm,
    "update/grad_norm_max": statistics.gradNormMax,
    "update/steps": statistics.optimiserSteps,
    "update/tokens": statistics.totalTokens,
    "update/prefix_tokens_saved": statistics.savedTokens,
  };
}

export function internaliseMetrics(result: Internalisation, loss: number | null): MetricRecord {
  return {
    "internalise/lambda": result.lambda,
    ...(loss === null ? {} : { "internalise/loss": loss }),
    "internalise/gated": result.steps === 0 ? 0 : result.gated / result.steps,
    "internalise/rows": result.lambda > 0 ? result.rows : 0,
    "internalise/tokens": result.lambda > 0 ? result.tokens : 0,
    "internalise/weight": result.weight,
  };
}

/** @param events of this iteration, mining's included */
export function skillMetrics(
  bank: SkillBank,
  comparisons: readonly Comparison[],
  events: readonly SkillEvent[],
  settings: Config["bank"],
): MetricRecord {
  const count = (kind: SkillEvent["event"]) => events.filter(({ event }) => event === kind).length;
  const active = bank.skills.filter(({ status }) => status === "active");
  const best = active.reduce<(typeof active)[number] | null>((top, skill) => (top && top.utility >= skill.utility ? top : skill), null);
  const low = best ? interval(best, settings).low : null;
  return {
    "skills/candidate": bank.count("candidate"),
    "skills/active": active.length,
    "skills/retired": bank.count("retired"),
    "skills/groups": comparisons.length,
    ...(comparisons.length === 0 ? {} : { "skills/delta": mean(comparisons.map(({ delta }) => delta)) }),
    "skills/promoted": count("promoted"),
    "skills/retired_now": count("retired"),
    "skills/evicted": count("evicted"),
    ...(best ? { "skills/utility_best": best.utility } : {}),
    ...(low === null ? {} : { "skills/utility_best_low": low }),
    ...(active.length === 0 ? {} : { "skills/utility_mean": mean(active.map(({ utility }) => utility)) }),
  };
}

export function miningMetrics(result: MiningResult): MetricRecord {
  return {
    "mining/trajectories": result.trajectories,
    "mining/mined": result.mined,
    "mining/duplicates": result.duplicates,
    "mining/unreadable": result.unreadable,
    "mining/too_long": result.tooLong,
  };
}

/** @param name what stands between `eval/` and the metric; the mode by default */
export function evaluationMetrics(result: EvaluationResult, name: string = result.mode): MetricRecord {
  const at = `eval/${name}`;
  const record: MetricRecord = {
    [`${at}/success`]: result.success.rate,
    [`${at}/low`]: result.success.low,
    [`${at}/high`]: result.success.high,
    [`${at}/tasks`]: result.success.n,
    [`${at}/score`]: result.score,
    [`${at}/steps`]: result.meanSteps,
    [`${at}/malformed_rate`]: result.malformed,
    [`${at}/inadmissible_rate`]: result.inadmissible,
  };
  if (result.mode === "with_skills") record[`${at}/shown`] = result.shown;
  for (const [type, rate] of Object.entries(result.byType)) record[`${at}/success/${type}`] = rate.rate;
  return record;
}
