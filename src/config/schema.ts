/**
 * Every setting of a run, with one documented line per key. The line ends with the source of the default:
 *   [SIRI]   stated by the paper (arXiv 2606.02355) or agreed on by notes about it
 *   [GiGPO]  stated by the GiGPO paper (arXiv 2505.10978)
 *   [code]   read in the public verl-agent code that GiGPO and its peers share
 *   [peers]  unknown for SIRI; the value of a published relative (SkillRL, D2Skill, UCOB)
 *   [ours]   unknown for SIRI; our own choice
 * Knows no file and no command line: `load.ts` reads YAML and overrides, `docs.ts` prints the table from these descriptions.
 */
import { z } from "zod";
import { DEVICE_PATTERN, KNOWN_DEVICES } from "../device.js";

const count = () => z.number().int().min(1);
const whole = () => z.number().int().min(0);
const share = () => z.number().min(0).max(1);

const environment = z.strictObject({
  name: z
    .string()
    .min(1)
    .describe(
      "A registered environment (household, alfworld, ...) or the path of a module that exports one; relative to the run file. [ours]",
    ),
  options: z.record(z.string(), z.unknown()).default({}).describe("Handed to the environment as it is (data folders, sizes). [ours]"),
  trainSplit: z.string().min(1).default("train").describe("Split that training tasks are drawn from, each once per pass. [ours]"),
});

const model = z.strictObject({
  path: z.string().min(1).describe("Hugging Face folder of the base policy; relative to the run file. [ours]"),
  device: z
    .string()
    .regex(DEVICE_PATTERN, KNOWN_DEVICES)
    .default("cpu")
    .describe("cpu, cuda (the first GPU), cuda:N, or auto: CUDA where there is one. Another one changes the last bits of results. [ours]"),
  threads: whole().default(0).describe("Threads of the engine; 0 = one per core. Results do not depend on it. [ours]"),
  dtype: z
    .enum(["float32", "bfloat16"])
    .default("float32")
    .describe(
      "Operands of matrix products; sums, master weights and moments are float32 in both. bfloat16 is faster with AVX512_BF16. [ours]",
    ),
  maxBatchTokens: count()
    .default(2048)
    .describe("Tokens of one forward pass, which bounds memory; another value changes the last bits of gradients. [ours]"),
  kvCacheMiB: z.number().positive().default(512).describe("Memory of the KV cache, MiB; requests wait while it is full. [ours]"),
});

const agent = z.strictObject({
  template: z.string().min(1).default("verl").describe("Prompt template: what the policy reads and how its reply is understood. [code]"),
  historyLength: whole().default(2).describe("Past (observation, action) pairs in a prompt. [code]"),
  maxSteps: count().default(50).describe("Steps after which an episode is cut off: 50 ALFWorld, 15 WebShop. [code]"),
  maxPromptTokens: count().default(2048).describe("Longest prompt, tokens: a longer one loses its history, then the run stops. [code]"),
  maxResponseTokens: count().nullable().default(null).describe("Longest reply, tokens; null = what the template asks for. [ours]"),
  invalid: z
    .enum(["format", "inadmissible"])
    .default("format")
    .describe("What counts as invalid: broken format only [code], or also an action that is not in the offered list. [code]"),
});

const rollout = z.strictObject({
  groups: count().default(16).describe("Task groups per iteration. [code]"),
  groupSize: count().default(8).describe("Rollouts of one task (N). [GiGPO]"),
  temperature: z
    .number()
    .positive()
    .default(1)
    .describe("Sampling temperature in training; log-probs are those of this distribution. [code]"),
  concurrency: whole().default(0).describe("Episodes that run at once; 0 = all of an iteration. Results do not depend on it. [ours]"),
  environmentTimeout: z.number().min(0).default(120).describe("Seconds one reset or step may take; 0 = no limit. [ours]"),
  retries: whole().default(2).describe("Times an episode whose environment failed is played again before the run stops. [ours]"),
});

const advantage = z.strictObject({
  normalisation: z
    .enum(["mean_std_norm", "mean_norm"])
    .default("mean_std_norm")
    .describe("Divide centred returns by their standard deviation, or by 1. [GiGPO]"),
  episodeStatistics: z
    .enum(["rows", "trajectories"])
    .default("rows")
    .describe("Episode mean and deviation over step rows [code], or over trajectories as the GiGPO paper defines. [code]"),
  gamma: share().default(0.95).describe("Discount of step returns. [GiGPO]"),
  stepWeight: z.number().min(0).default(1).describe("Weight of the step advantage (omega); method grpo sets it to 0. [GiGPO]"),
  invalidPenalty: z
    .number()
    .min(0)
    .default(0.1)
    .describe("Subtracted from the score and the return of the very step whose action was invalid. [code]"),
  anchorSimilarity: z
    .number()
    .gt(0)
    .lt(1)
    .nullable()
    .default(null)
    .describe("Steps whose anchors are at least this alike share a step group; null = only equal anchors. [code]"),
  scale: z.number().positive().default(1).describe("Multiplies every advantage; with mean_norm and a reward of 10 use about 0.2. [ours]"),
  pool: z
    .enum(["joint", "per_arm"])
    .default("joint")
    .describe("Skill arm and plain arm of a task are normalised together or apart (unknown for SIRI). [ours]"),
});

const update = z.strictObject({
  miniBatchRows: whole()
    .default(256)
    .describe("Step rows per optimiser step, evenly split; 0, or more than there are = all rows of the iteration. [code]"),
  epochs: count().default(1).describe("Passes over the rows of an iteration. [code]"),
  shuffle: z
    .boolean()
    .default(true)
    .describe("Mix rows over mini-batches with a counter-based shuffle (verl-agent keeps their order). [ours]"),
  aggregation: z
    .enum(["token-mean", "seq-mean-token-sum", "seq-mean-token-mean"])
    .default("token-mean")
    .describe("How token losses become one number; exact over the mini-batch. [code]"),
  clipLow: z.number().min(0).max(1).default(0.2).describe("Ratio is clipped from below at 1 - this. [code]"),
  clipHigh: z.number().min(0).default(0.2).describe("Ratio is clipped from above at 1 + this. [code]"),
  dualClip: z.number().min(0).default(3).describe("Bound of the loss for negative advantages, > 1; 0 = off. [code]"),
  klCoef: z.number().min(0).default(0.01).describe("Coefficient of k3 to the base policy; 0 = no base policy is kept. [code]"),
  entropyCoef: z.number().min(0).default(0.001).describe("Coefficient of the entropy bonus. [code]"),
});

const optimiser = z.strictObject({
  lr: z.number().positive().default(1e-6).describe("AdamW learning rate, constant. [code]"),
  beta1: z.number().min(0).lt(1).default(0.9).describe("Decay of the first moment. [code]"),
  beta2: z.number().min(0).lt(1).default(0.999).describe("Decay of the second moment. [code]"),
  eps: z.number().positive().default(1e-8).describe("Added to the root of the second moment. [code]"),
  weightDecay: z.number().min(0).default(0.01).describe("Decoupled decay of matrices. [code]"),
  maxGradNorm: z.number().min(0).default(1).describe("Bound of the global gradient norm; 0 = off. [code]"),
  moments: z
    .enum(["float32", "bfloat16"])
    .default("float32")
    .describe("What both moments are kept in; bfloat16 halves their memory, the second one rounded by chance. [ours]"),
});

const warmup = z.strictObject({
  enabled: z
    .boolean()
    .default(true)
    .describe("Phase 0: plain GiGPO before the first skill is mined. False is the paper's ablation. [SIRI]"),
  successes: count().default(64).describe("Distinct training tasks solved before mining starts (N_req; value unknown). [ours]"),
  successesPerType: whole().default(0).describe("The same, as a floor for every task type met so far; 0 = none. [ours]"),
  maxIterations: count().default(40).describe("Mining starts after so many iterations in any case. [ours]"),
  bufferSize: count().default(256).describe("Skill-free successes kept for the writer (D+), one per task. [ours]"),
});

const mining = z.strictObject({
  writer: z
    .enum(["policy", "external"])
    .default("policy")
    .describe("Who writes skills: the policy itself, or the endpoint under `writer`. [SIRI]"),
  interval: count().default(5).describe("Iterations between two minings (I_mine; value unknown). [ours]"),
  trajectories: count().default(16).describe("Successes summarised per mining, spread over task types. [ours]"),
  temperature: z.number().min(0).default(0.7).describe("Sampling temperature of the writer. [ours]"),
  maxTokens: count().default(512).describe("Longest skill text, tokens. [ours]"),
  duplicateSimilarity: share()
    .default(0.95)
    .describe("A skill this similar (word cosine) to a known one of its type is dropped; 1 = only equal texts. [ours]"),
  maxLivePerType: whole()
    .default(0)
    .describe("Candidates plus active skills per task type above which none is added; 0 = no limit. [ours]"),
  minActive: count().default(8).describe("Active skills that end phase 1 (trigger unknown). [ours]"),
  minIterations: count().default(1).describe("Phase 1 lasts at least so many iterations. [ours]"),
  maxIterations: count().default(60).describe("Phase 1 ends after so many iterations in any case. [ours]"),
  inPhase2: z.boolean().default(false).describe("Go on mining while internalising. [ours]"),
});

const writer = z.strictObject({
  url: z
    .string()
    .min(1)
    .nullable()
    .default(null)
    .describe("Base URL of an OpenAI-compatible endpoint (http://host:port/v1); null = off. [ours]"),
  model: z.string().default("").describe("Model name sent to it. [ours]"),
  apiKeyEnv: z.string().nullable().default(null).describe("Environment variable that holds its key; null = no key is sent. [ours]"),
  timeout: z.number().positive().default(60).describe("Seconds one request may take. [ours]"),
  retries: whole().default(3).describe("Further attempts after a time-out, 408, 429 or 5xx. [ours]"),
});

const arms = z.strictObject({
  skillFraction: z.number().gt(0).lt(1).default(0.5).describe("Share of a group that sees skills: 4 of 8. [peers]"),
  assignment: z
    .enum(["alternate", "block"])
    .default("alternate")
    .describe("Which members see skills: every other one, or the first ones. Fixed by index, logged. [ours]"),
});

const retrieval = z.strictObject({
  match: z
    .enum(["type", "lexical", "both"])
    .default("both")
    .describe("Skills of the task's type, skills whose condition resembles the task text, or both at once. [peers]"),
  similarityFloor: share()
    .default(0)
    .describe("Least word cosine of condition and task text (0.4 and 0.7 are published for embeddings). [ours]"),
  topK: count().default(3).describe("Skills shown at once: 3 ALFWorld, 1 WebShop. [peers]"),
  similarityWeight: share().default(0.1).describe("Alpha of the rank: alpha (sim + 1) / 2 + (1 - alpha) (U + bonus). [peers]"),
  exploration: z.number().min(0).default(0.05).describe("c of the bonus c sqrt(ln(max(2, 1 + N_total)) / (1 + n)). [peers]"),
});

const bank = z.strictObject({
  validate: z
    .boolean()
    .default(true)
    .describe("Paired rollouts decide on promotion and retirement; false = every skill is active at once. [SIRI]"),
  utility: z.enum(["ema", "mean"]).default("ema").describe("Online estimate of utility from the paired differences. [peers]"),
  utilityBeta: z.number().gt(0).max(1).default(0.5).describe("EMA: U <- (1 - beta) U + beta delta (0.5 D2Skill, 0.2 UCOB). [peers]"),
  deltaScale: z.enum(["success", "reward"]).default("success").describe("Paired difference on success (0/1) or on the raw reward. [ours]"),
  minEvaluations: count().default(4).describe("Paired groups before a skill may be promoted or retired (N_eval; value unknown). [ours]"),
  promoteAbove: z.number().default(0).describe("Promoted when U is above this. [ours]"),
  retireBelow: z.number().default(-0.05).describe("Retired when U was below this on each of the last `retireWindow` evaluations. [ours]"),
  retireWindow: count().default(3).describe("See retireBelow. [ours]"),
  capacity: count().default(300).describe("Live skills kept; the worst by utility plus bonus leave first. [peers]"),
  protectIterations: whole().default(10).describe("Skills younger than this are not evicted. [peers]"),
});

const internalise = z.strictObject({
  enabled: z.boolean().default(true).describe("Phase 2. False keeps the skills in the prompt to the end (ablation). [SIRI]"),
  lambdaMax: z.number().min(0).default(0.1).describe("Largest weight of the internalisation loss (value unknown). [ours]"),
  rampIterations: whole().default(20).describe("Iterations of the linear rise to lambdaMax (K_w; value unknown); 0 = at once. [SIRI]"),
  weightMax: z.number().positive().default(2).describe("Weight of a step is clip(advantage, 0, this) (bounds unknown). [ours]"),
  gateUtility: z.boolean().default(true).describe("Only steps whose shown skills have positive mean utility. [SIRI]"),
  gateDelta: z.boolean().default(false).describe("Only groups in which the skill arm beat the plain arm this time. [ours]"),
  gateActive: z.boolean().default(true).describe("Only when at least one shown skill is active, not a candidate. [ours]"),
  divisor: z
    .enum(["gated", "weights", "action"])
    .default("gated")
    .describe("Z: gated tokens, sum of their weights, or all action tokens of the skill arm. [ours]"),
  span: z.enum(["action", "response"]).default("action").describe("Tokens that are learnt: the action alone, or the whole reply. [SIRI]"),
  includeTags: z.boolean().default(false).describe("The action span holds its tags, too. [ours]"),
  teacher: z
    .enum(["weighted-nll", "forward-kl", "reverse-kl", "jsd"])
    .default("weighted-nll")
    .describe("Learn the sampled tokens, or the distribution under the skill prompt. [ours]"),
});

const evaluation = z.strictObject({
  split: z
    .string()
    .min(1)
    .nullable()
    .default(null)
    .describe("Split that is played; null = the environment's first evaluation split. [ours]"),
  tasks: whole().default(0).describe("The first so many tasks of the split, each once; 0 = all. [ours]"),
  at: z
    .array(z.enum(["start", "after-warmup", "end"]))
    .default(["start", "after-warmup", "end"])
    .describe("Moments at which the split is played. [ours]"),
  every: whole().default(5).describe("And every so many iterations; 0 = never. [code]"),
  withSkills: z.boolean().default(true).describe("Play the split a second time with retrieved skills, as a diagnostic. [ours]"),
  temperature: z.number().min(0).default(0.4).describe("Sampling temperature in evaluation; 0 = greedy. [code]"),
});

const run = z.strictObject({
  root: z.string().min(1).default("runs").describe("Folder that holds the runs. [ours]"),
  name: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/, "use 1 to 128 letters, digits, '.', '_' and '-', beginning with a letter or digit")
    .default("run")
    .describe("The run's own folder in it. [ours]"),
  checkpointEvery: count().default(1).describe("Iterations between checkpoints; the last iteration always has one. [ours]"),
  keepLast: count().default(2).describe("The newest so many checkpoints are kept. [ours]"),
  keepEvery: whole().default(0).describe("And every one whose iteration is a multiple of this; 0 = none. [ours]"),
  trajectories: whole().default(2).describe("Episodes per iteration written out as readable samples. [ours]"),
});

/** How many members of a group of `groupSize` see skills. */
export function skillMembers(groupSize: number, skillFraction: number): number {
  return Math.round(groupSize * skillFraction);
}

/**
 * Iterations after which the last phase has begun even if each earlier one lasts as long as it may; a shorter run trains, but may end
 * before that. 1 for the baselines.
 */
export function iterationsOfAllPhases({ method, warmup, mining, internalise }: Config): number {
  if (method !== "siri") return 1;
  return (warmup.enabled ? warmup.maxIterations : 0) + (internalise.enabled ? mining.maxIterations : 0) + 1;
}

export const configSchema = z
  .strictObject({
    seed: whole().default(0).describe("Everything random is a function of this, the iteration, the group, the member and the step. [code]"),
    method: z
      .enum(["grpo", "gigpo", "siri"])
      .default("siri")
      .describe("GRPO: episode advantages. GiGPO: and step advantages. SIRI: and skills. [SIRI]"),
    iterations: count().default(150).describe("Iterations of the whole run. [code]"),
    run: run.prefault({}),
    environment,
    model,
    agent: agent.prefault({}),
    rollout: rollout.prefault({}),
    advantage: advantage.prefault({}),
    update: update.prefault({}),
    optimiser: optimiser.prefault({}),
    warmup: warmup.prefault({}),
    mining: mining.prefault({}),
    writer: writer.prefault({}),
    arms: arms.prefault({}),
    retrieval: retrieval.prefault({}),
    bank: bank.prefault({}),
    internalise: internalise.prefault({}),
    evaluation: evaluation.prefault({}),
  })
  .superRefine((config, context) => {
    const reject = (path: string, message: string) => context.addIssue({ code: "custom", path: path.split("."), message });
    const { rollout, advantage, update, mining, internalise } = config;
    if (rollout.groupSize === 1 && advantage.normalisation === "mean_std_norm") {
      reject("advantage.normalisation", "mean_std_norm needs at least two rollouts per task: raise rollout.groupSize or use mean_norm");
    }
    if (update.dualClip !== 0 && update.dualClip <= 1) reject("update.dualClip", "must be above 1, or 0 to switch it off");
    if (config.method !== "siri") return;

    const shown = skillMembers(rollout.groupSize, config.arms.skillFraction);
    if (shown === 0 || shown === rollout.groupSize) {
      reject(
        "arms.skillFraction",
        `${config.arms.skillFraction} of ${rollout.groupSize} rollouts leaves an arm empty: paired rollouts need one member in each`,
      );
    }
    if (mining.minIterations > mining.maxIterations) {
      reject("mining.minIterations", `is above mining.maxIterations (${mining.maxIterations})`);
    }
    if (mining.writer === "external" && config.writer.url === null)
      reject("writer.url", "mining.writer is external, but no endpoint is given");
    if (mining.writer === "external" && config.writer.model === "")
      reject("writer.model", "mining.writer is external, but no model is named");
    if (!config.bank.validate && internalise.gateUtility && internalise.enabled) {
      reject("internalise.gateUtility", "there is no utility when bank.validate is false: set it to false, too");
    }
  });

/** A checked configuration: every key present. */
export type Config = z.output<typeof configSchema>;
/** What a run file may hold: keys with a default may be left out. */
export type ConfigInput = z.input<typeof configSchema>;
export type Method = Config["method"];
