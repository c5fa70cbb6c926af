/**
 * The tiny base policy as a Hugging Face folder: its architecture, its special tokens, its chat template. Knows no data and
 * no training.
 */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { AddedTokens } from "./bpe.js";

export const ADDED_TOKENS: AddedTokens = {
  special: ["<|pad|>", "<|system|>", "<|user|>", "<|assistant|>", "<|end|>"],
  markup: ["<think>", "</think>", "<action>", "</action>"],
};
const PAD = ADDED_TOKENS.special.indexOf("<|pad|>");
const END = ADDED_TOKENS.special.indexOf("<|end|>");

/** Qwen2 form; 0.8 million parameters at the default size. */
export interface BaseSize {
  /** Token rows of the embedding, which bound the tokenizer. */
  readonly vocabulary: number;
  readonly hidden: number;
  readonly layers: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly intermediate: number;
}

export const DEFAULT_SIZE: BaseSize = { vocabulary: 896, hidden: 128, layers: 4, heads: 4, kvHeads: 2, intermediate: 320 };

/** The content of config.json. */
export function baseConfig(size: BaseSize): Record<string, unknown> {
  return {
    architectures: ["Qwen2ForCausalLM"],
    model_type: "qwen2",
    hidden_size: size.hidden,
    intermediate_size: size.intermediate,
    num_hidden_layers: size.layers,
    num_attention_heads: size.heads,
    num_key_value_heads: size.kvHeads,
    head_dim: size.hidden / size.heads,
    vocab_size: size.vocabulary,
    max_position_embeddings: 1024,
    rope_theta: 10000,
    rms_norm_eps: 1e-6,
    hidden_act: "silu",
    attention_dropout: 0,
    initializer_range: 0.02,
    tie_word_embeddings: true,
    use_sliding_window: false,
    use_cache: true,
    bos_token_id: null,
    eos_token_id: END,
    pad_token_id: PAD,
    torch_dtype: "bfloat16",
  };
}

const CHAT_TEMPLATE =
  "{% for message in messages %}{{ '<|' + message.role + '|>' + message.content }}{% if message.role == 'assistant' %}{{ '<|end|>' }}{% endif %}{% endfor %}" +
  "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}";

/** Writes config.json, tokenizer.json, tokenizer_config.json and generation_config.json: all of the folder but the weights. */
export async function writeBaseFolder(dir: string, size: BaseSize, tokenizerJson: Record<string, unknown>): Promise<void> {
  await mkdir(dir, { recursive: true });
  const files = {
    "config.json": baseConfig(size),
    "tokenizer.json": tokenizerJson,
    "tokenizer_config.json": {
      tokenizer_class: "PreTrainedTokenizerFast",
      model_max_length: 1024,
      pad_token: "<|pad|>",
      eos_token: "<|end|>",
      bos_token: null,
      clean_up_tokenization_spaces: false,
      chat_template: CHAT_TEMPLATE,
    },
    "generation_config.json": { do_sample: true, temperature: 1, eos_token_id: END, pad_token_id: PAD },
  };
  for (const [name, content] of Object.entries(files)) {
    const indent = name === "tokenizer.json" ? 0 : 2;
    await writeFile(join(dir, name), `${JSON.stringify(content, null, indent)}\n`);
  }
}
