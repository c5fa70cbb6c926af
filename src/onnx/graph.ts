/**
 * The decoder (Qwen2, Qwen3, Llama) as an ONNX graph of standard operators, in the order of native/model/decoder.cpp. Inputs and outputs
 * carry the names that Hugging Face's exporter and transformers.js use:
 *
 *   input_ids, position_ids          int64 [batch, length]
 *   attention_mask                   int64 [batch, past + length]: 1 for tokens, 0 for padding
 *   num_logits_to_keep               int64 []: logits of the last so many positions; 0 = of all
 *   past_key_values.N.key / .value   [batch, kvHeads, past, headDim], past may be 0
 *   logits                           float32 [batch, kept, vocab]
 *   present.N.key / .value           [batch, kvHeads, past + length, headDim]
 *
 * In float16 the matrices, their operands and the cache are half precision; norms, rotations, softmax, the residual stream and the logits
 * stay float32, since half precision overflows there. Knows names and shapes of weights, no files.
 */
import type { NativeConfig } from "../native.js";
import type { Tensor } from "../policy/weights.js";
import { type Attribute, DATA_TYPE, type Dimension, type Message, node, tensor, valueInfo } from "./proto.js";

/** Opset 17 is read by every ONNX Runtime since 1.12 (native, mobile and web); nothing newer is needed. */
export const OPSET = 17;
export const IR_VERSION = 8;

export type ExportType = "float32" | "float16";

/** The rotation tables' names beside the weights'. */
export const ROPE_TABLES = { cos: "rope.cos", sin: "rope.sin" } as const;

/** What masked scores become: softmax makes it an exact 0 beside any real score. */
const MASKED = -3.4028234663852886e38;

/** The tensors of a Hugging Face folder of this configuration, in the file's order. Tied weights are one tensor. */
export function weightsOf(c: NativeConfig): Tensor[] {
  const [q, kv] = [c.heads * c.headDim, c.kvHeads * c.headDim];
  const layer = (i: number): Tensor[] => {
    const at = (name: string, ...shape: number[]) => ({ name: `model.layers.${i}.${name}`, shape });
    return [
      at("input_layernorm.weight", c.hidden),
      at("self_attn.q_proj.weight", q, c.hidden),
      at("self_attn.k_proj.weight", kv, c.hidden),
      at("self_attn.v_proj.weight", kv, c.hidden),
      ...(c.qkvBias ? [at("self_attn.q_proj.bias", q), at("self_attn.k_proj.bias", kv), at("self_attn.v_proj.bias", kv)] : []),
      ...(c.qkNorm ? [at("self_attn.q_norm.weight", c.headDim), at("self_attn.k_norm.weight", c.headDim)] : []),
      at("self_attn.o_proj.weight", c.hidden, q),
      at("post_attention_layernorm.weight", c.hidden),
      at("mlp.gate_proj.weight", c.intermediate, c.hidden),
      at("mlp.up_proj.weight", c.intermediate, c.hidden),
      at("mlp.down_proj.weight", c.hidden, c.intermediate),
    ];
  };
  return [
    { name: "model.embed_tokens.weight", shape: [c.vocab, c.hidden] },
    ...Array.from({ length: c.layers }, (_, i) => layer(i)).flat(),
    { name: "model.norm.weight", shape: [c.hidden] },
    ...(c.tied ? [] : [{ name: "lm_head.weight", shape: [c.vocab, c.hidden] }]),
  ];
}

/** Matrices take the export's type; norms and biases are small and stay float32. */
export const storedType = ({ shape }: Tensor, type: ExportType): ExportType => (shape.length > 1 ? type : "float32");

export interface DecoderGraph {
  readonly nodes: readonly Message[];
  /** Shapes and scalars; the weights and rotation tables come beside them. */
  readonly constants: readonly Message[];
  readonly inputs: readonly Message[];
  readonly outputs: readonly Message[];
}

/** The operators of one decoder being written down. Every method returns the name of its result. */
class DecoderWriter {
  readonly nodes: Message[] = [];
  readonly constants = new Map<string, Message>();
  readonly c: NativeConfig;
  readonly type: ExportType;
  readonly #casts = new Set<string>();
  #scope = "";

  constructor(config: NativeConfig, type: ExportType) {
    this.c = config;
    this.type = type;
  }

  /** Names of what follows begin with this. */
  scope(name: string): void {
    this.#scope = name;
  }

  op(operator: string, name: string, inputs: readonly string[], attributes: Readonly<Record<string, Attribute>> = {}): string {
    const result = `${this.#scope}${name}`;
    this.nodes.push(node(result, operator, inputs, [result], attributes));
    return result;
  }

  /** int64 [n], or a scalar. */
  ints(value: number | readonly number[]): string {
    const list = typeof value === "number" ? [value] : value;
    const name = `int.${typeof value === "number" ? "" : "list."}${list.join("_")}`;
    const data = new Uint8Array(BigInt64Array.from(list, BigInt).buffer);
    this.constants.set(name, tensor(name, "int64", typeof value === "number" ? [] : [list.length], data));
    return name;
  }

  /** A float32 scalar. */
  scalar(value: number): string {
    const name = `float.${value}`;
    this.constants.set(name, tensor(name, "float32", [], new Uint8Array(Float32Array.of(value).buffer)));
    return name;
  }

  /** float32 -> the type of matrix products, and back. Several readers share one. */
  narrow(x: string): string {
    return this.#cast(x, "float16");
  }
  wide(x: string): string {
    return this.#cast(x, "float32");
  }
  #cast(x: string, to: ExportType): string {
    if (this.type === "float32") return x;
    const result = `${x}/${to}`;
    if (!this.#casts.has(result)) this.nodes.push(node(result, "Cast", [x], [result], { to: DATA_TYPE[to] }));
    this.#casts.add(result);
    return result;
  }

  /** x [rows, in] float32 -> [rows, out] float32, for a weight [out, in]. */
  linear(name: string, x: string, weight: string, bias?: string): string {
    const product = this.wide(this.op("Gemm", name, [this.narrow(x), weight], { transB: 1 }));
    return bias === undefined ? product : this.op("Add", `${name}/bias`, [product, bias]);
  }

  /** x / sqrt(mean(x^2) + eps) * weight over the last dimension, float32 (arXiv 1910.07467). */
  rmsNorm(name: string, x: string, weight: string): string {
    const mean = this.op("ReduceMean", `${name}/mean`, [this.op("Mul", `${name}/square`, [x, x])], { axes: [-1], keepdims: 1 });
    const root = this.op("Sqrt", `${name}/root`, [this.op("Add", `${name}/eps`, [mean, this.scalar(this.c.rmsEps)])]);
    return this.op("Mul", name, [this.op("Div", `${name}/unit`, [x, root]), weight]);
  }

  /** Rotates the first half of the last dimension against the second. */
  rope(name: string, x: string, cos: string, sin: string): string {
    const half = this.c.headDim / 2;
    const [first, second] = [`${this.#scope}${name}/first`, `${this.#scope}${name}/second`];
    this.nodes.push(node(`${this.#scope}${name}/halves`, "Split", [x, this.ints([half, half])], [first, second], { axis: -1 }));
    const times = (label: string, a: string, b: string) => this.op("Mul", `${name}/${label}`, [a, b]);
    const real = this.op("Sub", `${name}/real`, [times("first_cos", first, cos), times("second_sin", second, sin)]);
    const imaginary = this.op("Add", `${name}/imaginary`, [times("second_cos", second, cos), times("first_sin", first, sin)]);
    return this.op("Concat", name, [real, imaginary], { axis: -1 });
  }
}

/** Names of values that every layer reads. */
interface Shared {
  /** [2]: batch, length. */
  readonly size: string;
  /** bool [batch, 1, 1, length, past + length]: this query may read that key. */
  readonly visible: string;
  /** [batch, 1, length, headDim / 2]. */
  readonly cos: string;
  readonly sin: string;
}

function sharedValues(w: DecoderWriter): Shared {
  const size = w.op("Shape", "size", ["input_ids"]);
  const at = (name: string, of: string, index: number) => w.op("Gather", name, [of, w.ints(index)]);
  const length = at("length", size, 1);
  const total = at("total", w.op("Shape", "mask_size", ["attention_mask"]), 1);
  const past = w.op("Sub", "past", [total, length]);
  const keys = w.op("Range", "keys", [w.ints(0), total, w.ints(1)]);
  const queries = w.op("Unsqueeze", "queries", [w.op("Range", "query_places", [past, total, w.ints(1)]), w.ints([1])]);
  const earlier = w.op("LessOrEqual", "earlier", [keys, queries]);
  const tokens = w.op("Unsqueeze", "tokens", [w.op("Cast", "is_token", ["attention_mask"], { to: DATA_TYPE.bool }), w.ints([1, 2, 3])]);
  const table = (name: "cos" | "sin") =>
    w.op("Unsqueeze", name, [w.op("Gather", `${name}_rows`, [ROPE_TABLES[name], "position_ids"]), w.ints([1])]);
  return { size, visible: w.op("And", "visible", [earlier, tokens]), cos: table("cos"), sin: table("sin") };
}

/** x [rows, hidden] -> what attention adds to it; names present.i.key and .value. Query head h reads key head floor(h / group). */
function attention(w: DecoderWriter, i: number, x: string, shared: Shared): string {
  const { c } = w;
  const group = c.heads / c.kvHeads;
  const weight = (name: string) => `model.layers.${i}.self_attn.${name}`;
  const project = (name: string) => w.linear(name, x, weight(`${name}_proj.weight`), c.qkvBias ? weight(`${name}_proj.bias`) : undefined);
  const split = (name: string, dims: readonly number[], order: readonly number[]) => {
    const shape = w.op("Concat", `${name}/shape`, [shared.size, w.ints(dims)], { axis: 0 });
    const heads = w.op("Reshape", `${name}/heads`, [project(name), shape]);
    const normed = c.qkNorm && name !== "v" ? w.rmsNorm(`${name}_norm`, heads, weight(`${name}_norm.weight`)) : heads;
    return w.op("Transpose", `${name}/by_head`, [normed], { perm: order });
  };
  const cached = (name: "key" | "value", now: string) => {
    const result = `present.${i}.${name}`;
    w.nodes.push(node(result, "Concat", [`past_key_values.${i}.${name}`, w.narrow(now)], [result], { axis: 2 }));
    return w.op("Unsqueeze", `${name}s`, [result, w.ints([2])]);
  };
  const rotation = (name: "cos" | "sin") => w.op("Unsqueeze", `q/${name}`, [shared[name], w.ints([1])]);

  // [batch, kvHeads, group, length, headDim]; the scale goes in before half precision could overflow.
  const turned = w.rope("q/rope", split("q", [c.kvHeads, group, c.headDim], [0, 2, 3, 1, 4]), rotation("cos"), rotation("sin"));
  const query = w.narrow(w.op("Mul", "q/scaled", [turned, w.scalar(1 / Math.sqrt(c.headDim))]));
  const heads = [c.kvHeads, c.headDim];
  const keys = cached("key", w.rope("k/rope", split("k", heads, [0, 2, 1, 3]), shared.cos, shared.sin));
  const values = cached("value", split("v", heads, [0, 2, 1, 3]));
  const scores = w.wide(w.op("MatMul", "scores", [query, w.op("Transpose", "keys_across", [keys], { perm: [0, 1, 2, 4, 3] })]));
  const masked = w.op("Where", "masked", [shared.visible, scores, w.scalar(MASKED)]);
  const read = w.wide(w.op("MatMul", "read", [w.narrow(w.op("Softmax", "shares", [masked], { axis: -1 })), values]));
  const rows = w.op("Reshape", "rows", [
    w.op("Transpose", "by_position", [read], { perm: [0, 3, 1, 2, 4] }),
    w.ints([-1, c.heads * c.headDim]),
  ]);
  return w.linear("o", rows, weight("o_proj.weight"));
}

/** SwiGLU (arXiv 2002.05202): down(silu(gate) * up). */
function feedForward(w: DecoderWriter, i: number, x: string): string {
  const weight = (name: string) => `model.layers.${i}.mlp.${name}_proj.weight`;
  const gate = w.linear("gate", x, weight("gate"));
  const silu = w.op("Mul", "silu", [gate, w.op("Sigmoid", "sigmoid", [gate])]);
  return w.linear("down", w.op("Mul", "act", [silu, w.linear("up", x, weight("up"))]), weight("down"));
}

export function decoderGraph(c: NativeConfig, type: ExportType): DecoderGraph {
  const w = new DecoderWriter(c, type);
  const shared = sharedValues(w);
  const embedded = w.op("Gather", "embedded", ["model.embed_tokens.weight", "input_ids"]);
  let x = w.op("Reshape", "rows", [w.wide(embedded), w.ints([-1, c.hidden])]);
  for (let i = 0; i < c.layers; i++) {
    const weight = (name: string) => `model.layers.${i}.${name}.weight`;
    w.scope(`layer.${i}/attn/`);
    x = w.op("Add", "out", [x, attention(w, i, w.rmsNorm("norm", x, weight("input_layernorm")), shared)]);
    w.scope(`layer.${i}/mlp/`);
    x = w.op("Add", "out", [x, feedForward(w, i, w.rmsNorm("norm", x, weight("post_attention_layernorm")))]);
  }
  w.scope("head/");
  const all = w.op("Reshape", "positions", [x, w.op("Concat", "positions_shape", [shared.size, w.ints([-1])], { axis: 0 })]);
  const first = w.op("Neg", "first", [w.op("Unsqueeze", "kept", ["num_logits_to_keep", w.ints([0])])]);
  // From -k to the end; from 0, so all, where k is 0.
  const kept = w.op("Slice", "last", [all, first, w.ints([2 ** 31 - 1]), w.ints([1])]);
  const normed = w.rmsNorm("norm", w.op("Reshape", "rows", [kept, w.ints([-1, c.hidden])]), "model.norm.weight");
  const product = w.linear("product", normed, c.tied ? "model.embed_tokens.weight" : "lm_head.weight");
  const batch = w.op("Slice", "batch", [shared.size, w.ints([0]), w.ints([1])]);
  w.scope("");
  w.op("Reshape", "logits", [product, w.op("Concat", "logits_shape", [batch, w.ints([-1, c.vocab])], { axis: 0 })]);

  const cache = (prefix: string, past: Dimension) =>
    Array.from({ length: c.layers }, (_, i) =>
      ["key", "value"].map((name) => valueInfo(`${prefix}.${i}.${name}`, type, ["batch", c.kvHeads, past, c.headDim])),
    ).flat();
  return {
    nodes: w.nodes,
    constants: [...w.constants.values()],
    inputs: [
      valueInfo("input_ids", "int64", ["batch", "length"]),
      valueInfo("attention_mask", "int64", ["batch", "total"]),
      valueInfo("position_ids", "int64", ["batch", "length"]),
      valueInfo("num_logits_to_keep", "int64", []),
      ...cache("past_key_values", "past"),
    ],
    outputs: [valueInfo("logits", "float32", ["batch", "kept", c.vocab]), ...cache("present", "total")],
  };
}
