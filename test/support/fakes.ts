/**
 * A world small enough to reason about, for tests of rollouts and of the loop: a corridor, a tokenizer of one token per character, and
 * a policy with two numbers for weights. The policy learns, forgets nothing and answers in any order it is told to.
 */
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { ChatMessage } from "../../src/agent/agent.js";
import { compact } from "../../src/agent/compact.js";
import type { EnvironmentModule, Observation, StepResult, Task } from "../../src/env/environment.js";
import type {
  AdamWOptions,
  DistillLoss,
  DistillRow,
  PolicyHandle,
  PolicyLoss,
  PolicyRow,
  Row,
  Sample,
  SampleOptions,
  TrainResult,
  UpdateResult,
  WeightedLoss,
  WeightedRow,
} from "../../src/policy/types.js";
import { EnvironmentPool } from "../../src/rl/environments.js";
import type { RolloutParts } from "../../src/rl/rollout.js";

export const END = 3;

/** The goal lies `length` steps to the right; `right` walks there, `left` goes back. */
export function corridor(
  options: { readonly tasks?: number; readonly onReset?: (task: Task) => void; readonly delay?: () => Promise<void> } = {},
): EnvironmentModule {
  const tasks = options.tasks ?? 12;
  const make = (split: string, index: number): Task => {
    const length = 1 + (index % 3);
    return { id: `${split}/${index}`, split, type: length === 1 ? "near" : "far", data: { length } };
  };
  return {
    name: "corridor",
    splits: ["train", "held-out"],
    evalSplits: ["held-out"],
    tasks: (split) => ({ length: tasks, at: (index) => make(split, index) }),
    create: () => {
      let length = 0;
      let place = 0;
      const look = (): Observation => ({
        text: `You stand at place ${place}.`,
        task: "walk to the end of the corridor",
        actions: ["left", "right"],
        anchor: `place ${place}`,
      });
      return {
        reset: async (task) => {
          await options.delay?.();
          options.onReset?.(task);
          length = (task.data as { length: number }).length;
          place = 0;
          return look();
        },
        step: async (action): Promise<StepResult> => {
          await options.delay?.();
          if (action === "right") place++;
          if (action === "left") place = Math.max(0, place - 1);
          const success = place === length;
          return { ...look(), reward: success ? 10 : 0, done: success, success };
        },
      };
    },
  };
}

/** One token per UTF-16 unit; END ends a reply. */
export const characters = {
  eosTokens: [END],
  encode: (text: string) => Int32Array.from(text, (character) => character.charCodeAt(0)),
  chat: (messages: readonly ChatMessage[]) => characters.encode(messages.map(({ content }) => content).join("\n")),
  decode: (tokens: Int32Array) => String.fromCharCode(...tokens.filter((token) => token !== END)),
  actionMask: (tokens: Int32Array, span: readonly [number, number] | null, options: { readonly includeTags: boolean }) => {
    const [from, to] = span ? (options.includeTags ? [span[0] - 8, span[1] + 9] : span) : [0, 0];
    return Float32Array.from(tokens, (_, i) => (i >= from && i < to ? 1 : 0));
  },
};

const SKILL = `when the end of the corridor is the goal: walk right${String.fromCharCode(END)}`;

/** Log-odds of `right`: `plain`, and `plain + skill` when the prompt holds a skill. */
export class FakePolicy implements PolicyHandle {
  readonly vocabSize = 65536;
  readonly maxPositions = 4096;
  readonly eosTokens = [END];
  weights = { plain: -0.5, skill: 1.5 };
  /** Called before each reply: wait to shuffle arrival, throw to break off. */
  before: (() => Promise<void>) | undefined;
  samples = 0;
  #gradient = { plain: 0, skill: 0 };
  #trained = false;
  #steps = 0;

  static async load(dir: string, optimiser: string): Promise<FakePolicy> {
    const policy = new FakePolicy();
    policy.weights = JSON.parse(await readFile(join(dir, "weights.json"), "utf8"));
    await policy.loadOptimiser(optimiser);
    return policy;
  }

  async sample(prompt: Int32Array | readonly number[], options: SampleOptions): Promise<Sample> {
    await this.before?.();
    this.samples++;
    const text = String.fromCharCode(...prompt);
    if (text.endsWith("skill?")) return reply(SKILL, 0, options.maxTokens);
    const chance = this.#right(text);
    const draw = Number((BigInt(options.seed) >> 11n) & ((1n << 53n) - 1n)) / 2 ** 53;
    const action = draw < chance ? "right" : draw < chance + (1 - chance) * 0.9 ? "left" : "dance";
    return reply(replyText(action), logChance(action, chance), options.maxTokens);
  }

  #right(prompt: string): number {
    const { plain, skill } = this.weights;
    return 1 / (1 + Math.exp(-(plain + (prompt.includes("\nskill: ") ? skill : 0))));
  }

  #read(row: Row): { prompt: string; chance: number; action: string } {
    const prompt = String.fromCharCode(...row.tokens.subarray(0, row.responseStart));
    const action = /<action>(\w*)/.exec(String.fromCharCode(...row.tokens.subarray(row.responseStart)))?.[1] ?? "";
    return { prompt, chance: this.#right(prompt), action };
  }

  #logprobs(row: Row): Float32Array {
    const { chance, action } = this.#read(row);
    const result = new Float32Array(row.tokens.length - row.responseStart);
    result[ACTION_AT] = logChance(action, chance);
    return result;
  }

  async score(rows: readonly Row[]) {
    return {
      logprobs: rows.map((row) => this.#logprobs(row)),
      entropies: rows.map((row) => new Float32Array(row.tokens.length - row.responseStart)),
    };
  }

  async train(
    rows: readonly (PolicyRow | WeightedRow | DistillRow)[],
    loss: PolicyLoss | WeightedLoss | DistillLoss,
  ): Promise<TrainResult> {
    let value = 0;
    for (const row of rows) {
      const { prompt, chance, action } = this.#read(row);
      const weight = "advantage" in row ? (row.advantage as number) : (row.weights?.[ACTION_AT] ?? 1);
      const divisor = loss.kind === "weighted-nll" ? (loss.normaliser ?? rows.length) : rows.length;
      const push = ((weight * (action === "right" ? 1 - chance : -chance)) / divisor) * (loss.scale ?? 1);
      value -= ((weight * logChance(action, chance)) / divisor) * (loss.scale ?? 1);
      this.#gradient.plain += push;
      if (prompt.includes("\nskill: ")) this.#gradient.skill += push;
    }
    this.#trained = true;
    const tokens = rows.reduce((sum, row) => sum + row.tokens.length - row.responseStart, 0);
    const totalTokens = rows.reduce((sum, row) => sum + row.tokens.length, 0);
    const kind =
      loss.kind === "policy" ? { policyLoss: value, kl: 0, entropy: 0.5, clipFraction: 0, approxKl: 0, klMax: 0 } : { nll: value };
    return { loss: value, tokens, totalTokens, savedTokens: 0, ...kind, logprobs: rows.map((row) => this.#logprobs(row)) };
  }

  async update(optimiser: AdamWOptions): Promise<UpdateResult> {
    if (!this.#trained) throw new Error("update without train");
    const { plain, skill } = this.#gradient;
    this.weights = { plain: this.weights.plain + optimiser.lr * plain, skill: this.weights.skill + optimiser.lr * skill };
    await this.zeroGradients();
    return { gradNorm: Math.hypot(plain, skill), step: ++this.#steps };
  }

  async zeroGradients(): Promise<void> {
    this.#gradient = { plain: 0, skill: 0 };
    this.#trained = false;
  }

  async save(dir: string): Promise<void> {
    await mkdir(dir, { recursive: true });
    await writeFile(join(dir, "weights.json"), JSON.stringify(this.weights));
  }

  async saveOptimiser(file: string): Promise<void> {
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, JSON.stringify(this.#steps));
  }

  async loadOptimiser(file: string): Promise<void> {
    this.#steps = JSON.parse(await readFile(file, "utf8"));
  }

  async readTensor(): Promise<Float32Array> {
    return Float32Array.of(this.weights.plain, this.weights.skill);
  }

  async readGradient(): Promise<Float32Array> {
    return Float32Array.of(this.#gradient.plain, this.#gradient.skill);
  }

  tensorNames(): readonly string[] {
    return ["weights"];
  }

  stats() {
    return {
      sampledTokens: 0,
      prefillTokens: 0,
      prefillTokensSaved: 0,
      trainedTokens: 0,
      savedTokens: 0,
      weightVersion: this.#steps,
      parameters: 2,
    };
  }

  async close(): Promise<void> {}
}

function replyText(action: string): string {
  return `<think>x</think><action>${action}</action>${String.fromCharCode(END)}`;
}

/** The first character of the action carries its whole log-prob. */
export const ACTION_AT = replyText("").indexOf("</action>");

function logChance(action: string, right: number): number {
  return Math.log(action === "right" ? right : action === "left" ? (1 - right) * 0.9 : (1 - right) * 0.1);
}

function reply(text: string, logprob: number, maxTokens: number): Sample {
  const tokens = characters.encode(text).slice(0, maxTokens);
  const logprobs = new Float32Array(tokens.length);
  if (tokens.length > ACTION_AT) logprobs[ACTION_AT] = logprob;
  return { tokens, logprobs, finish: tokens.at(-1) === END ? "stop" : "length" };
}

export function fakeParts(
  policy: PolicyHandle = new FakePolicy(),
  module: EnvironmentModule = corridor(),
): RolloutParts & { readonly policy: PolicyHandle } {
  return { policy, tokenizer: characters, template: { ...compact, maxResponseTokens: 80 }, environments: new EnvironmentPool(module) };
}
