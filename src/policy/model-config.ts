/**
 * config.json of a Hugging Face folder: validated, and turned into the engine's terms. Knows the model families, no weights.
 */
import { z } from "zod";
import { SiriError } from "../errors.js";
import type { NativeConfig } from "../native.js";

const llama3Rope = z.object({
  factor: z.number().positive(),
  low_freq_factor: z.number().positive(),
  high_freq_factor: z.number().positive(),
  original_max_position_embeddings: z.number().int().positive(),
});

/** Far above any model, far below what would overflow or exhaust a machine before the weights are looked at. */
const MOST_LAYERS = 4096;
const MOST = 2 ** 24;
const size = z.number().int().positive().max(MOST);

const configSchema = z.looseObject({
  model_type: z.string(),
  hidden_size: size,
  intermediate_size: size,
  num_hidden_layers: size.max(MOST_LAYERS),
  num_attention_heads: size,
  num_key_value_heads: size.optional(),
  head_dim: size.nullish(),
  vocab_size: size,
  max_position_embeddings: z
    .number()
    .int()
    .positive()
    .max(2 ** 31 - 1),
  rms_norm_eps: z.number().positive(),
  rope_theta: z.number().positive().optional(),
  rope_scaling: z.looseObject({}).nullish(),
  rope_parameters: z.looseObject({}).nullish(),
  tie_word_embeddings: z.boolean().default(false),
  hidden_act: z.string().default("silu"),
  attention_bias: z.boolean().optional(),
  mlp_bias: z.boolean().optional(),
  use_sliding_window: z.boolean().optional(),
  initializer_range: z.number().positive().optional(),
  eos_token_id: z.union([z.number().int(), z.array(z.number().int())]).nullish(),
});

/** What a folder's config.json says, checked. `raw` is the whole file, for writing it back. */
export interface ModelConfig {
  readonly native: NativeConfig;
  readonly modelType: "qwen2" | "qwen3" | "llama";
  readonly eosTokens: readonly number[];
  readonly initializerRange: number;
  readonly raw: Readonly<Record<string, unknown>>;
}

function unsupported(source: string, what: string, fix: string): SiriError {
  return new SiriError("SIRI_MODEL_CONFIG", `${source}: ${what} is not supported; ${fix}`);
}

/** Both spellings: rope_theta + rope_scaling, and the newer rope_parameters (which wins). */
function ropeConfig(source: string, config: z.infer<typeof configSchema>): NativeConfig["rope"] {
  const parameters: Record<string, unknown> = { ...(config.rope_scaling ?? {}), ...(config.rope_parameters ?? {}) };
  const theta = Number(parameters.rope_theta ?? config.rope_theta ?? 10000);
  if (!(theta > 0)) throw new SiriError("SIRI_MODEL_CONFIG", `${source}: rope_theta is ${theta}; it must be a positive number`);
  const type = parameters.rope_type ?? parameters.type ?? "default";
  if (type === "default") return { theta, llama3: false };
  if (type !== "llama3") throw unsupported(source, `RoPE scaling "${String(type)}"`, 'supported are "default" and "llama3"');
  const scaling = llama3Rope.safeParse(parameters);
  if (!scaling.success) throw new SiriError("SIRI_MODEL_CONFIG", `${source}: llama3 RoPE scaling: ${z.prettifyError(scaling.error)}`);
  const { low_freq_factor: low, high_freq_factor: high } = scaling.data;
  if (high <= low)
    throw new SiriError(
      "SIRI_MODEL_CONFIG",
      `${source}: llama3 RoPE scaling: high_freq_factor ${high} must be greater than low_freq_factor ${low}; correct one of them`,
    );
  return {
    theta,
    llama3: true,
    factor: scaling.data.factor,
    lowFreqFactor: scaling.data.low_freq_factor,
    highFreqFactor: scaling.data.high_freq_factor,
    originalMaxPositions: scaling.data.original_max_position_embeddings,
  };
}

/**
 * Checks the parsed JSON of a config.json. `source` names it in errors.
 * Throws SIRI_MODEL_CONFIG naming the field, its value and what is supported.
 */
export function parseModelConfig(json: unknown, source: string): ModelConfig {
  const parsed = configSchema.safeParse(json);
  if (!parsed.success) throw new SiriError("SIRI_MODEL_CONFIG", `${source}: ${z.prettifyError(parsed.error)}`);
  const c = parsed.data;
  const type = c.model_type;
  if (type !== "qwen2" && type !== "qwen3" && type !== "llama")
    throw unsupported(source, `model_type "${type}"`, "supported are qwen2, qwen3 and llama");
  if (c.hidden_act !== "silu") throw unsupported(source, `hidden_act "${c.hidden_act}"`, 'supported is "silu"');
  if (c.use_sliding_window) throw unsupported(source, "use_sliding_window true", "set it to false (all layers use full attention)");
  if (c.attention_bias && type !== "qwen2") throw unsupported(source, `attention_bias true in ${type}`, "use a model without it");
  if (c.mlp_bias) throw unsupported(source, "mlp_bias true", "use a model without it");

  const heads = c.num_attention_heads;
  const kvHeads = c.num_key_value_heads ?? heads;
  if (heads % kvHeads !== 0)
    throw new SiriError(
      "SIRI_MODEL_CONFIG",
      `${source}: num_attention_heads ${heads} is not a multiple of num_key_value_heads ${kvHeads}; correct one of them`,
    );
  const headDim = c.head_dim ?? c.hidden_size / heads;
  if (!Number.isInteger(headDim) || headDim % 2 !== 0)
    throw new SiriError(
      "SIRI_MODEL_CONFIG",
      `${source}: head_dim (hidden_size ${c.hidden_size} / num_attention_heads ${heads} when absent) is ${headDim}; it must be an even integer`,
    );
  if (heads * headDim > MOST)
    throw new SiriError(
      "SIRI_MODEL_CONFIG",
      `${source}: num_attention_heads ${heads} x head_dim ${headDim} is more than ${MOST}; correct one of them`,
    );
  const eos = c.eos_token_id;
  const eosTokens = eos === null || eos === undefined ? [] : typeof eos === "number" ? [eos] : eos;
  return {
    modelType: type,
    eosTokens: checkEos(eosTokens, c.vocab_size, source),
    initializerRange: c.initializer_range ?? 0.02,
    raw: json as Record<string, unknown>,
    native: {
      layers: c.num_hidden_layers,
      hidden: c.hidden_size,
      heads,
      kvHeads,
      headDim,
      intermediate: c.intermediate_size,
      vocab: c.vocab_size,
      maxPositions: c.max_position_embeddings,
      rmsEps: c.rms_norm_eps,
      tied: c.tie_word_embeddings,
      qkvBias: type === "qwen2",
      qkNorm: type === "qwen3",
      rope: ropeConfig(source, c),
    },
  };
}

/** End-of-sequence ids must exist in the vocabulary. */
export function checkEos(ids: readonly number[], vocab: number, source: string): readonly number[] {
  for (const id of ids)
    if (!Number.isInteger(id) || id < 0 || id >= vocab)
      throw new SiriError("SIRI_MODEL_CONFIG", `${source}: eos_token_id ${id} is outside the vocabulary [0, ${vocab})`);
  return ids;
}
