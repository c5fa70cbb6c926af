/** Decoding 64 sequences: 20 tokens after prompts of 130, on the shape of the shipped policy, against a PyTorch loop with a cache, in turns. */
import { COMPUTE_TYPES } from "../native.js";
import { Policy } from "../policy/policy.js";
import { TINY, tokens } from "./engine.js";
import { type Measurement, peakMiB, ratiosOf } from "./report.js";
import type { Torch } from "./torch.js";

const SEQUENCES = 64;
const PROMPT = 130;
const TOKENS = 20;

export async function benchDecode(torch: Torch, options: { device: string; threads: number; rounds: number }): Promise<Measurement[]> {
  const found: Measurement[] = [];
  for (const dtype of COMPUTE_TYPES) {
    const policy = await Policy.create(TINY, { device: options.device, threads: options.threads, dtype, seed: 1 });
    const mine: number[] = [];
    const theirs: number[] = [];
    for (let round = 0; round <= options.rounds; round++) {
      const start = performance.now();
      await Promise.all(
        Array.from({ length: SEQUENCES }, (_, k) =>
          policy.sample(tokens(PROMPT, 1000 * round + k + 7, TINY.vocab_size), { maxTokens: TOKENS, stop: [], seed: k }),
        ),
      );
      const own = (performance.now() - start) / 1000;
      const peer = await torch.ask({ op: "decode", sequences: SEQUENCES, prompt: PROMPT, tokens: TOKENS, dtype });
      if (round === 0) continue;
      mine.push(own);
      theirs.push(peer.seconds);
    }
    await policy.close();
    found.push({
      name: `decode/64 rows of ${PROMPT}+${TOKENS} tokens ${dtype}`,
      unit: "s",
      better: "less",
      values: mine,
      peer: theirs,
      ratios: ratiosOf(mine, theirs, "less"),
      target: 4,
      memoryMiB: peakMiB(),
    });
  }
  return found;
}
