/**
 * Distillation losses, through a head or on ready logits, with gradients.
 *
 * "internalise": what was done under a skill prompt is learnt under the plain one. With gate m (1 or 0 per token) and weight
 * w = clip(advantage, 0, maxWeight):  loss = -sum(m w logprob) / Z,  Z = sum of m unless `normaliser` is given. Loss 0 when Z is 0.
 *
 * "forward-kl": KL(teacher || student). "reverse-kl": KL(student || teacher). "jsd": beta KL(teacher || M) + (1 - beta) KL(student || M),
 * M = beta teacher + (1 - beta) student. Both distributions are softmax(logits / temperature); no factor temperature^2.
 * loss = sum(rowWeight row) / sum(rowWeight), 0 when all weights are 0. No gradient reaches the teacher.
 */
import { defined, finiteNumber, floats, object, oneOf, SiriArgument } from "./check.js";
import { callNative } from "./engine.js";
import {
  checkedSource,
  checkedTargets,
  gradientOf,
  type HeadGradient,
  type HeadInput,
  type LogitGradient,
  type LogitInput,
  type Targets,
} from "./logprobs.js";

export interface InternaliseTargets extends Targets {
  readonly divergence: "internalise";
  /** [rows], 1 or 0. */
  readonly gate: Float32Array;
  /** [rows] */
  readonly advantage: Float32Array;
  /** Default 2. */
  readonly maxWeight?: number;
  /** Z, when a batch is given in several calls; > 0. */
  readonly normaliser?: number;
}
export type InternaliseInput = (HeadInput | LogitInput) & InternaliseTargets;

export interface DivergenceTargets {
  readonly divergence: "forward-kl" | "reverse-kl" | "jsd";
  /** The teacher's logits [rows, vocab]; or, through the head, its hidden states [rows, width] under the same head. */
  readonly teacherLogits?: Float32Array;
  readonly teacherHidden?: Float32Array;
  /** [rows], each >= 0; default all ones. */
  readonly rowWeight?: Float32Array;
  /** > 0, default 1. */
  readonly temperature?: number;
  /** JSD only, in (0, 1); default 0.5. */
  readonly beta?: number;
}
export type DivergenceInput = (HeadInput | LogitInput) & DivergenceTargets;
export type DistillationOptions = InternaliseInput | DivergenceInput;

export interface RowLoss {
  readonly loss: number;
  /** [rows]: the divergence; for "internalise" the log-prob of the target. */
  readonly row: Float32Array;
}

/** @throws SiriError SIRI_ARGUMENT when a size, a target or a setting does not fit. */
export function distillationLoss(input: HeadInput & (InternaliseTargets | DivergenceTargets)): RowLoss & HeadGradient;
export function distillationLoss(input: LogitInput & (InternaliseTargets | DivergenceTargets)): RowLoss & LogitGradient;
export function distillationLoss(input: DistillationOptions): RowLoss & (HeadGradient | LogitGradient) {
  object("input", input);
  oneOf("divergence", input.divergence, ["internalise", "forward-kl", "reverse-kl", "jsd"]);
  const result = input.divergence === "internalise" ? internalise(input) : diverge(input);
  return { loss: result.loss, row: result.row, ...gradientOf(input, result) };
}

function internalise(input: InternaliseInput) {
  const source = checkedTargets(input);
  const gate = floats("gate", input.gate, source.rows, "one per row");
  const wrong = gate.findIndex((g) => g !== 0 && g !== 1);
  if (wrong >= 0)
    throw new SiriArgument(`gate[${wrong}] is ${gate[wrong]}; a gate is open (1) or shut (0). Weights come from the advantage.`);
  const checked = {
    ...source,
    gate,
    advantage: defined("advantage", floats("advantage", input.advantage, source.rows, "one per row"), gate),
    maxWeight: finiteNumber("maxWeight", input.maxWeight ?? 2, (w) => w > 0, "a number above 0"),
    ...(input.normaliser === undefined
      ? {}
      : { normaliser: finiteNumber("normaliser", input.normaliser, (z) => z > 0, "a number above 0") }),
  };
  return callNative((kernels) => kernels.internalisation(checked));
}

function diverge(input: DivergenceInput) {
  const rows = rowsOf(input);
  const source = checkedSource(input, rows);
  if ((input.teacherLogits === undefined) === (input.teacherHidden === undefined))
    throw new SiriArgument("one of teacherLogits and teacherHidden must be given, not both and not none.");
  if (input.teacherHidden !== undefined && "logits" in input)
    throw new SiriArgument("teacherHidden needs a head; with ready logits give teacherLogits.");
  const weight = input.rowWeight === undefined ? undefined : floats("rowWeight", input.rowWeight, rows, "one per row");
  const negative = weight?.findIndex((w) => !(w >= 0)) ?? -1;
  if (negative >= 0) throw new SiriArgument(`rowWeight[${negative}] is ${weight![negative]}; a weight is at least 0.`);
  const checked = {
    ...source,
    divergence: input.divergence,
    ...(weight === undefined ? {} : { rowWeight: weight }),
    ...teacherOf(input, rows),
    beta: finiteNumber("beta", input.beta ?? 0.5, (b) => b > 0 && b < 1, "between 0 and 1, both excluded"),
    temperature: finiteNumber("temperature", input.temperature ?? 1, (t) => t > 0, "a number above 0"),
  };
  return callNative((kernels) => kernels.divergence(checked));
}

function teacherOf(input: DivergenceInput, rows: number): { teacherLogits: Float32Array } | { teacherHidden: Float32Array } {
  if (input.teacherLogits !== undefined)
    return { teacherLogits: floats("teacherLogits", input.teacherLogits, rows * input.vocab, `rows x vocab (${rows} x ${input.vocab})`) };
  const width = "width" in input ? input.width : 0;
  return { teacherHidden: floats("teacherHidden", input.teacherHidden, rows * width, `rows x width (${rows} x ${width})`) };
}

/** Rows are counted by what they are rows of. */
function rowsOf(input: HeadInput | LogitInput): number {
  const [name, values, size] =
    "logits" in input ? (["logits", input.logits, input.vocab] as const) : (["hidden", input.hidden, input.width] as const);
  if (!(values instanceof Float32Array)) throw new SiriArgument(`${name} must be a Float32Array of rows, end to end.`);
  if (!(Number.isInteger(size) && size >= 1) || values.length % size !== 0)
    throw new SiriArgument(`${name} holds ${values.length} numbers; that is no whole number of rows of ${size}.`);
  return values.length / size;
}
