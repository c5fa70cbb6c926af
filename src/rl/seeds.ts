/**
 * Random numbers as a pure function of what they are for: (purpose, run seed, counters). No state, no arrival order, so one worker or
 * fifty, a fresh run or a resumed one, draw the same numbers. The mixer is splitmix64's finaliser, folded over the counters.
 */

const MASK = (1n << 64n) - 1n;
const GOLDEN = 0x9e3779b97f4a7c15n;

/** What a number is drawn for: streams of different purposes never meet. */
const PURPOSES = { rollout: 1n, evaluation: 2n, mining: 3n, shuffle: 4n, tasks: 5n } as const;
export type Purpose = keyof typeof PURPOSES;

function mix(value: bigint): bigint {
  let z = value & MASK;
  z = ((z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n) & MASK;
  z = ((z ^ (z >> 27n)) * 0x94d049bb133111ebn) & MASK;
  return z ^ (z >> 31n);
}

/** 64 random bits for a purpose and its counters (non-negative safe integers), for example ("rollout", seed, iteration, group, member, step). */
export function seedFor(purpose: Purpose, runSeed: number, ...counters: readonly number[]): bigint {
  let state = mix(PURPOSES[purpose] * GOLDEN);
  state = mix(state + GOLDEN + BigInt(runSeed));
  for (const counter of counters) state = mix(state + GOLDEN + BigInt(counter));
  return state;
}

/** A number in [0, 1) with 53 random bits. */
function fraction(bits: bigint): number {
  return Number(bits >> 11n) / 2 ** 53;
}

/** The numbers 0 .. n-1 in a random order (Fisher-Yates with counter-based draws). */
export function shuffled(n: number, seed: bigint): Int32Array {
  const order = Int32Array.from({ length: n }, (_, i) => i);
  for (let i = n - 1; i > 0; i--) {
    const j = Math.floor(fraction(mix(seed + GOLDEN * BigInt(i))) * (i + 1));
    const held = order[i]!;
    order[i] = order[j]!;
    order[j] = held;
  }
  return order;
}

/**
 * Index of the `cursor`-th training task: every pass over a split is another permutation of it. A four-round Feistel network over the
 * next even number of bits, walked until it lands inside the split: no list is held, so a split may be as long as it likes.
 */
export function taskIndex(runSeed: number, cursor: number, length: number): number {
  const pass = Math.floor(cursor / length);
  const half = Math.max(1, Math.ceil(Math.ceil(Math.log2(length)) / 2));
  const low = 2 ** half;
  let index = cursor % length;
  do {
    let left = Math.floor(index / low);
    let right = index % low;
    for (let round = 0; round < 4; round++) {
      const noise = Number(seedFor("tasks", runSeed, pass, round, right) & BigInt(low - 1));
      [left, right] = [right, left ^ noise];
    }
    index = left * low + right;
  } while (index >= length);
  return index;
}
