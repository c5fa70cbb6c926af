/** The native side of the kernels: its calls by name, and the threads they run on. Arguments have been checked before. */
import { fromNative, INSTRUCTION_SETS, type InstructionSet, native, resolveIsa, resolveThreads } from "../native.js";
import { integerIn, SiriArgument } from "./check.js";

/** What exports.kernels of the addon holds. Every call takes one object of numbers, strings and typed arrays. */
export interface NativeKernels {
  selectedLogProbs(input: object): { logprob: Float32Array; entropy: Float32Array; logsumexp: Float32Array };
  selectedLogProbsBackward(input: object): NativeGradient;
  policyLoss(input: object): NativeGradient & NativePolicyTerms;
  internalisation(input: object): NativeGradient & { loss: number; row: Float32Array };
  divergence(input: object): NativeGradient & { loss: number; row: Float32Array };
  groupAdvantages(input: object): { stepReturn: Float64Array; episode: Float64Array; step: Float64Array; advantage: Float64Array };
  clusters(input: { texts: readonly string[]; pool: Int32Array; threshold: number }): Int32Array;
  similarity(input: { a: string; b: string }): number;
  configure(input: { threads?: number; isa?: string }): KernelEngine;
}

/** What a native call with a gradient returns; which of them are there depends on what it was given. */
export interface NativeGradient {
  logprob: Float32Array;
  entropy: Float32Array;
  dhidden: Float32Array;
  dhead: Float32Array;
  dlogits: Float32Array;
  dlogprob: Float32Array;
  dentropy: Float32Array;
}

export interface NativePolicyTerms {
  loss: number;
  pg: Float32Array;
  kl: Float32Array;
  clipped: Uint8Array;
}

let ready: NativeKernels | undefined;

/** Runs a native call; errors of the engine become SiriErrors. */
export function callNative<T>(call: (kernels: NativeKernels) => T): T {
  try {
    if (ready === undefined) {
      const { kernels } = native() as unknown as { readonly kernels: NativeKernels };
      kernels.configure({ threads: resolveThreads(undefined), isa: resolveIsa(undefined) });
      ready = kernels;
    }
    return call(ready);
  } catch (error) {
    throw fromNative(error);
  }
}

export interface KernelEngine {
  readonly threads: number;
  /** Instruction set of the kernels. */
  readonly isa: string;
}

/**
 * Sets, for this thread of JavaScript, how many threads the kernels use (default: SIRI_THREADS, else all cores) and the instruction set
 * (default: SIRI_ISA; "" = the best this machine has), and returns what is in force. No result depends on the number of threads.
 */
export function kernelEngine(settings: { readonly threads?: number; readonly isa?: "" | InstructionSet } = {}): KernelEngine {
  const { threads, isa } = settings;
  if (threads !== undefined) integerIn("threads", threads, 1, 1024);
  if (isa !== undefined && !["", ...INSTRUCTION_SETS].includes(isa))
    throw new SiriArgument(
      `isa is ${JSON.stringify(isa)}; it must be ${INSTRUCTION_SETS.map((name) => `"${name}"`).join(", ")} or "" for the best of this machine.`,
    );
  return callNative((kernels) =>
    kernels.configure({ ...(threads === undefined ? {} : { threads }), ...(isa === undefined ? {} : { isa }) }),
  );
}
