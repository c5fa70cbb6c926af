/** What imitation streams have in common: the mix of kinds of episodes, and the buffer that parts the examples of an episode. */
import { Rng } from "../env/household/rng.js";
import type { Example } from "./train.js";

/** Shares of episodes; they add up to 1. */
export interface Mix {
  /** No skill; strategy by habit. */
  readonly plain: number;
  /** A right skill, followed. */
  readonly right: number;
  /** A skill that recommends a mistake, followed. */
  readonly bad: number;
  /** Skills for other tasks; strategy by habit. */
  readonly irrelevant: number;
  /** One example of writing a skill from a success. */
  readonly writing: number;
}

export function drawKind(mix: Mix, rng: Rng): keyof Mix {
  let point = rng.next();
  for (const [kind, share] of Object.entries(mix) as [keyof Mix, number][]) {
    point -= share;
    if (point < 0) return kind;
  }
  return "plain";
}

/** The examples of episode after episode, without end, drawn at random from a buffer of `shuffleBuffer`. */
export function* shuffled(
  episode: (index: number) => readonly Example[],
  { seed, shuffleBuffer }: { readonly seed: number; readonly shuffleBuffer: number },
): Generator<Example, never> {
  const rng = new Rng(seed, "pretrain shuffle");
  const buffer: Example[] = [];
  for (let index = 0; ; index++) {
    for (const example of episode(index)) {
      if (buffer.length < shuffleBuffer) {
        buffer.push(example);
        continue;
      }
      const slot = rng.int(0, buffer.length - 1);
      yield buffer[slot]!;
      buffer[slot] = example;
    }
  }
}
