/**
 * Makes the tiny base policy from nothing: tokenizer from sample texts, then one pass over fresh rows of imitation (response
 * loss, and next-token loss on the prompt for the first part, which teaches copying from the prompt). Knows no environment:
 * rows come as messages and replies. Batches are made on this thread while the engine's own threads train on the last one.
 */
import { appendFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import type { ChatMessage } from "../agent/agent.js";
import { SiriError } from "../errors.js";
import { Tokenizer } from "../policy/tokenizer.js";
import type { PolicyHandle, WeightedRow } from "../policy/types.js";
import { ADDED_TOKENS, type BaseSize, writeBaseFolder } from "./base.js";
import { trainBpe } from "./bpe.js";

/** One imitation example: what the policy is shown and what it should reply. */
export interface Example {
  readonly prompt: readonly ChatMessage[];
  readonly reply: string;
}

export interface TrainSettings {
  readonly rows: number;
  readonly batchRows: number;
  /** Peak learning rate; a linear warm-up, then a cosine to `finalFraction` of it. */
  readonly lr: number;
  readonly finalFraction: number;
  readonly warmupUpdates: number;
  /** The prompt loss counts for this first part of the updates. */
  readonly promptLossPart: number;
  /** Examples that the tokenizer is trained on. */
  readonly tokenizerExamples: number;
  /** Weights are also written every so many updates; 0 = only at the end. */
  readonly saveEvery: number;
}

export const DEFAULT_TRAIN: TrainSettings = {
  rows: 240_000,
  batchRows: 32,
  lr: 2e-3,
  finalFraction: 0.03,
  warmupUpdates: 60,
  promptLossPart: 0.75,
  tokenizerExamples: 6000,
  saveEvery: 2500,
};

const LOG_EVERY = 100;
const LOG_FILE = "pretrain.jsonl";

/** One line of progress, means over the updates since the last one. */
export interface TrainProgress {
  readonly rows: number;
  readonly update: number;
  readonly lr: number;
  /** Nats per response token. */
  readonly nll: number;
  /** Nats per prompt token; absent once the prompt no longer counts. */
  readonly promptNll?: number;
  readonly gradNorm: number;
  readonly seconds: number;
  readonly rowsPerSecond: number;
  readonly tokensPerSecond: number;
  /** Share of the time this thread spent making rows, which the engine does not wait for while it is small. */
  readonly making: number;
}

/** Learning rate of update `index` (0 is the first) of `count`. */
export function learningRate(
  index: number,
  count: number,
  settings: Pick<TrainSettings, "lr" | "finalFraction" | "warmupUpdates">,
): number {
  const { lr, finalFraction, warmupUpdates } = settings;
  if (index < warmupUpdates) return (lr * (index + 1)) / warmupUpdates;
  const part = Math.min(1, (index - warmupUpdates) / Math.max(1, count - 1 - warmupUpdates));
  return lr * (finalFraction + (1 - finalFraction) * 0.5 * (1 + Math.cos(Math.PI * part)));
}

/** Trains a tokenizer on the texts of `examples` and writes the folder, weights excepted. */
export async function makeBaseFolder(dir: string, size: BaseSize, examples: Iterable<Example>): Promise<Tokenizer> {
  await writeBaseFolder(dir, size, trainBpe(textsOf(examples), ADDED_TOKENS, { maxVocabulary: size.vocabulary, minFrequency: 8 }));
  return Tokenizer.load(dir);
}

/** What a tokenizer is trained on. */
export function* textsOf(examples: Iterable<Example>): Generator<string> {
  for (const { prompt, reply } of examples) {
    for (const message of prompt) yield message.content;
    yield reply;
  }
}

/** Prompt through the chat template, reply with its end token. */
export function encodeExample(tokenizer: Tokenizer, { prompt, reply }: Example): WeightedRow {
  const head = tokenizer.chat(prompt);
  const tail = tokenizer.encode(reply);
  const tokens = new Int32Array(head.length + tail.length + 1);
  tokens.set(head);
  tokens.set(tail, head.length);
  tokens[tokens.length - 1] = tokenizer.eosTokens[0]!;
  return { tokens, responseStart: head.length };
}

/** One pass over `examples`; leaves bfloat16 weights and a log beside them in `dir`. */
export async function trainBase(
  policy: PolicyHandle,
  tokenizer: Tokenizer,
  examples: Iterator<Example>,
  settings: TrainSettings,
  dir: string,
  onProgress: (line: TrainProgress) => void,
): Promise<void> {
  const updates = Math.ceil(settings.rows / settings.batchRows);
  const log = join(dir, LOG_FILE);
  await rm(log, { force: true });
  const nextBatch = (): WeightedRow[] =>
    Array.from({ length: settings.batchRows }, () => {
      const { value, done } = examples.next();
      if (done)
        throw new SiriError("PRETRAIN_DATA_ENDED", `The example stream ended before ${settings.rows} rows; rows are never repeated.`);
      const row = encodeExample(tokenizer, value);
      if (row.tokens.length > policy.maxPositions) {
        throw new SiriError("PRETRAIN_ROW_TOO_LONG", `An example has ${row.tokens.length} tokens; the model holds ${policy.maxPositions}.`);
      }
      return row;
    });

  const begin = performance.now();
  let sums = { nll: 0, prompt: 0, grad: 0, tokens: 0, waited: 0, since: begin };
  let batch = nextBatch();
  for (let index = 0; index < updates; index++) {
    const promptCoef = index < settings.promptLossPart * updates ? 1 : 0;
    const lr = learningRate(index, updates, settings);
    const step = policy.train(batch, { kind: "weighted-nll", promptCoef }).then(async (result) => ({
      result,
      update: await policy.update({ lr, beta1: 0.9, beta2: 0.98, weightDecay: 0.01, maxGradNorm: 1 }),
    }));
    if (index + 1 < updates) batch = nextBatch(); // while the engine trains
    const waitFrom = performance.now();
    const { result, update } = await step;
    const now = performance.now();
    sums.waited += now - waitFrom;
    sums.nll += result.nll ?? result.loss;
    sums.prompt += result.promptNll ?? 0;
    sums.grad += update.gradNorm;
    sums.tokens += result.totalTokens + result.savedTokens;
    const last = index + 1 === updates;
    if ((index + 1) % LOG_EVERY === 0 || last) {
      const count = last && updates % LOG_EVERY !== 0 ? updates % LOG_EVERY : LOG_EVERY;
      const span = (now - sums.since) / 1000;
      const line: TrainProgress = {
        rows: (index + 1) * settings.batchRows,
        update: index + 1,
        lr,
        nll: sums.nll / count,
        ...(promptCoef > 0 ? { promptNll: sums.prompt / count } : {}),
        gradNorm: sums.grad / count,
        seconds: (now - begin) / 1000,
        rowsPerSecond: (count * settings.batchRows) / span,
        tokensPerSecond: sums.tokens / span,
        making: 1 - sums.waited / (now - sums.since),
      };
      await appendFile(log, `${JSON.stringify(line)}\n`);
      onProgress(line);
      sums = { nll: 0, prompt: 0, grad: 0, tokens: 0, waited: 0, since: performance.now() };
    }
    if (last || (settings.saveEvery > 0 && (index + 1) % settings.saveEvery === 0)) await policy.save(dir, { dtype: "bfloat16" });
  }
}
