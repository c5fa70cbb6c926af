/** The engine's operations and the yardstick, one at a time, on made-up data: typed access to native/node/workload.cpp. */
import { SiriError } from "../errors.js";
import { type ComputeType, fromNative, native, resolveIsa } from "../native.js";

export const OPERATIONS = [
  "linear",
  "linear_backward_input",
  "linear_backward_weight",
  "pack",
  "head_score",
  "head_train",
  "head_sample",
  "rms_norm",
  "rms_norm_backward",
  "swiglu",
  "swiglu_backward",
  "attention",
  "attention_backward",
  "adamw",
] as const;
export type Operation = (typeof OPERATIONS)[number];
export type Yardstick = "yardstick" | "memory_yardstick";

export interface WorkloadSpec {
  /** The yardsticks: plain C++ loops outside the engine that are never changed, one of arithmetic, one of memory. */
  readonly op: Operation | Yardstick;
  readonly threads: number;
  readonly dtype?: ComputeType;
  readonly rows?: number;
  readonly in?: number;
  readonly out?: number;
}

export interface Elapsed {
  /** Seconds by the clock. */
  readonly wall: number;
  /** Seconds of processor time, all threads of the process together. */
  readonly cpu: number;
}

/** SIRI_BENCH_SLOWDOWN=0.15 makes every operation 15% slower, yardstick and peers excepted: the proof that bench:check sees it. */
function slowdown(): number {
  const text = process.env.SIRI_BENCH_SLOWDOWN;
  const share = text ? Number(text) : 0;
  if (!(share >= 0 && share <= 10))
    throw new SiriError("SIRI_ARGUMENT", `SIRI_BENCH_SLOWDOWN is ${text}; it must be a number from 0 to 10 (0.15 = 15% slower)`);
  return share;
}

/** Works on for the share of `seconds` that SIRI_BENCH_SLOWDOWN asks for, and returns the sum. */
export function burn(seconds: number): number {
  const share = slowdown();
  if (share === 0) return seconds;
  const start = process.cpuUsage();
  const spent = () => {
    const { user, system } = process.cpuUsage(start);
    return (user + system) / 1e6;
  };
  while (spent() < share * seconds);
  return seconds + spent();
}

/** A workload that can be repeated. */
export function workload(spec: WorkloadSpec): (times: number) => Elapsed {
  try {
    const { op, threads, dtype = "float32", rows = 0, in: width = 0, out = 0 } = spec;
    const made = new (native().Workload)({ op, threads, dtype, isa: resolveIsa(undefined), rows, in: width, out });
    return (times) => {
      const [wall, cpu] = made.run(times);
      if (op === "yardstick" || op === "memory_yardstick") return { wall, cpu };
      const slower = burn(cpu);
      return { wall: wall + slower - cpu, cpu: slower };
    };
  } catch (error) {
    throw fromNative(error);
  }
}

/** Floating point operations of one run: a multiply-add is two. 0 where arithmetic is not the cost. */
export function flops({ op, rows = 0, in: width = 0, out = 0 }: WorkloadSpec): number {
  const product = 2 * rows * width * out;
  if (op.startsWith("linear") || op === "head_score" || op === "head_sample") return product;
  if (op === "head_train") return 3 * product;
  // Half of the scores are masked; two products forward, five backward.
  if (op === "attention") return product * out;
  if (op === "attention_backward") return 2.5 * product * out;
  return 0;
}

/** Bytes that one run must move at least: every operand read once, every result written once. */
export function bytes({ op, rows = 0, in: width = 0, out = 0 }: WorkloadSpec): number {
  const floats = {
    linear: rows * (width + out) + width * out,
    linear_backward_input: rows * (width + out) + width * out,
    linear_backward_weight: rows * (width + out) + 2 * width * out,
    pack: 2 * width * out,
    head_score: rows * width + width * out,
    head_sample: rows * width + width * out,
    head_train: 2 * rows * width + 3 * width * out,
    rms_norm: 2 * rows * width,
    rms_norm_backward: 4 * rows * width,
    swiglu: 3 * rows * width,
    swiglu_backward: 5 * rows * width,
    attention: rows * out * width * 2.5,
    attention_backward: rows * out * width * 5,
    adamw: 7 * rows,
    yardstick: 0,
    memory_yardstick: 3 * (1 << 21),
  }[op];
  return 4 * floats;
}
