/**
 * Random numbers that equal Python's, call for call: `PythonRandom` is the generator behind the `random` module of CPython 3.11,
 * `NumpyRandomState` the legacy `numpy.random.RandomState`. Both draw from the Mersenne Twister MT19937 (Matsumoto and Nishimura 1998).
 */
import { randomBytes } from "node:crypto";
import { SiriError } from "../../../errors.js";

const SIZE = 624;
const MIDDLE = 397;

/** 32-bit Mersenne Twister. */
class MersenneTwister {
  private readonly state = new Uint32Array(SIZE);
  private position = SIZE;

  /** State from one 32-bit number. */
  seed(seed: number): void {
    const { state } = this;
    state[0] = seed;
    for (let i = 1; i < SIZE; i++) {
      const previous = state[i - 1] as number;
      state[i] = Math.imul(1812433253, previous ^ (previous >>> 30)) + i;
    }
    this.position = SIZE;
  }

  /** State from a list of 32-bit numbers, `init_by_array`. The list is not empty. */
  seedWithArray(key: readonly number[]): void {
    const { state } = this;
    this.seed(19650218);
    let i = 1;
    let j = 0;
    const next = (): void => {
      i++;
      if (i < SIZE) return;
      state[0] = state[SIZE - 1] as number;
      i = 1;
    };
    const mixed = (factor: number): number => {
      const previous = state[i - 1] as number;
      return (state[i] as number) ^ Math.imul(previous ^ (previous >>> 30), factor);
    };
    for (let k = Math.max(SIZE, key.length); k > 0; k--) {
      state[i] = mixed(1664525) + (key[j] as number) + j;
      next();
      j = (j + 1) % key.length;
    }
    for (let k = SIZE - 1; k > 0; k--) {
      state[i] = mixed(1566083941) - i;
      next();
    }
    state[0] = 0x80000000;
  }

  private refill(): void {
    const { state } = this;
    for (let i = 0; i < SIZE; i++) {
      const pair = ((state[i] as number) & 0x80000000) | ((state[(i + 1) % SIZE] as number) & 0x7fffffff);
      state[i] = (state[(i + MIDDLE) % SIZE] as number) ^ (pair >>> 1) ^ (pair & 1 ? 0x9908b0df : 0);
    }
    this.position = 0;
  }

  /** Next number, whole, in [0, 2^32). */
  next(): number {
    if (this.position === SIZE) this.refill();
    let y = this.state[this.position++] as number;
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    return (y ^ (y >>> 18)) >>> 0;
  }

  /** The state: 624 words and the position among them. */
  save(): Uint32Array {
    return Uint32Array.of(...this.state, this.position);
  }

  load(saved: Uint32Array): void {
    const position = saved[SIZE];
    if (saved.length !== SIZE + 1 || position === undefined || position > SIZE) {
      throw new SiriError("RANDOM_STATE", `a random state holds ${SIZE} words and a position up to ${SIZE}, got ${saved.length} numbers`);
    }
    this.state.set(saved.subarray(0, SIZE));
    this.position = position;
  }
}

/** |seed| in 32-bit pieces, lowest first; [0] for 0. */
function seedWords(seed: number | bigint): number[] {
  if (typeof seed === "number" && !Number.isSafeInteger(seed)) {
    throw new SiriError("RANDOM_SEED", `a seed must be a whole number (a bigint beyond 2^53), got ${seed}`);
  }
  let rest = BigInt(seed);
  if (rest < 0n) rest = -rest;
  const words: number[] = [];
  do {
    words.push(Number(rest & 0xffffffffn));
    rest >>= 32n;
  } while (rest > 0n);
  return words;
}

function bitLength(n: number): number {
  return n < 2 ** 32 ? 32 - Math.clz32(n) : 64 - Math.clz32(Math.floor(n / 2 ** 32));
}

/** `random.Random`, for what the shop and its goals draw. */
export class PythonRandom {
  private readonly twister = new MersenneTwister();

  /** @param seed as `random.seed(int)`; without one, 32 bytes from the operating system */
  constructor(seed?: number | bigint) {
    this.seed(seed ?? BigInt(`0x${randomBytes(32).toString("hex")}`));
  }

  /** `random.seed(int)`. A seed and its negative give the same numbers, as in Python. */
  seed(seed: number | bigint): void {
    this.twister.seedWithArray(seedWords(seed));
  }

  /** What `restore` takes. */
  save(): Uint32Array {
    return this.twister.save();
  }

  /** @throws SiriError RANDOM_STATE when it is not a saved state */
  restore(saved: Uint32Array): void {
    this.twister.load(saved);
  }

  /** `random()`: uniform in [0, 1), 53 bits. */
  random(): number {
    const high = this.twister.next() >>> 5;
    const low = this.twister.next() >>> 6;
    return (high * 2 ** 26 + low) / 2 ** 53;
  }

  /** `getrandbits(k)`, k >= 0. */
  getrandbits(k: number): bigint {
    let bits = 0n;
    for (let done = 0; done < k; done += 32) {
      const width = Math.min(32, k - done);
      bits |= BigInt(this.twister.next() >>> (32 - width)) << BigInt(done);
    }
    return bits;
  }

  /**
   * `randrange(n)`: uniform whole number in [0, n), n up to 2^53.
   * @throws SiriError RANDOM_RANGE
   */
  below(n: number): number {
    if (!Number.isSafeInteger(n) || n < 1)
      throw new SiriError("RANDOM_RANGE", `cannot draw a whole number below ${n}; it must be 1 at least`);
    const k = bitLength(n);
    for (;;) {
      const drawn = k <= 32 ? this.twister.next() >>> (32 - k) : Number(this.getrandbits(k));
      if (drawn < n) return drawn;
    }
  }

  /** `uniform(a, b)`: a and b may stand in either order. */
  uniform(a: number, b: number): number {
    return a + (b - a) * this.random();
  }

  /** `choice(items)`. The list must not be empty. */
  choice<T>(items: ArrayLike<T>): T {
    return items[this.below(items.length)] as T;
  }

  /** `choices(items, k=k)`: with replacement. The list must not be empty. */
  choices<T>(items: ArrayLike<T>, k: number): T[] {
    return Array.from({ length: k }, () => items[Math.floor(this.random() * items.length)] as T);
  }

  /**
   * `sample(range(n), k)`: k different numbers in the order of drawing. `sample(list, k)` is the list's entries at these places.
   * @throws SiriError RANDOM_SAMPLE when k is not in [0, n]
   */
  sample(n: number, k: number): number[] {
    if (!(k >= 0 && k <= n)) throw new SiriError("RANDOM_SAMPLE", `cannot draw ${k} different ones out of ${n}`);
    // Python weighs a list of n entries against a set of the k drawn ones, and draws differently for the two.
    const setSize = 21 + (k > 5 ? 4 ** Math.ceil(Math.log(k * 3) / Math.log(4)) : 0);
    if (n <= setSize) {
      const pool = Array.from({ length: n }, (_, i) => i);
      return Array.from({ length: k }, (_, i) => {
        const place = this.below(n - i);
        const drawn = pool[place] as number;
        pool[place] = pool[n - i - 1] as number;
        return drawn;
      });
    }
    const drawn = new Set<number>();
    while (drawn.size < k) drawn.add(this.below(n));
    return [...drawn];
  }

  /** `shuffle(items)`, in place. */
  shuffle(items: Uint32Array | Float64Array | unknown[]): void {
    for (let i = items.length - 1; i > 0; i--) {
      const j = this.below(i + 1);
      const held = items[i] as number;
      items[i] = items[j] as number;
      items[j] = held;
    }
  }
}

/** `numpy.random.RandomState`, for what verl-agent draws. */
export class NumpyRandomState {
  private readonly twister = new MersenneTwister();

  /**
   * @param seed whole, in [0, 2^32)
   * @throws SiriError RANDOM_SEED
   */
  constructor(seed: number) {
    if (!Number.isInteger(seed) || seed < 0 || seed >= 2 ** 32) {
      throw new SiriError("RANDOM_SEED", `numpy takes seeds from 0 to 4294967295, got ${seed}`);
    }
    this.twister.seed(seed);
  }

  /** Uniform whole number in [0, max] by masked rejection, max < 2^32. */
  private upTo(max: number): number {
    if (max === 0) return 0;
    const mask = 0xffffffff >>> Math.clz32(max);
    for (;;) {
      const drawn = (this.twister.next() & mask) >>> 0;
      if (drawn <= max) return drawn;
    }
  }

  /** `shuffle(items)`, in place, for flat arrays. */
  shuffle(items: Uint32Array | Float64Array | unknown[]): void {
    for (let i = items.length - 1; i > 0; i--) {
      const j = this.upTo(i);
      const held = items[i] as number;
      items[i] = items[j] as number;
      items[j] = held;
    }
  }

  /**
   * `choice(range(n), size, replace=False)`: the head of a permutation.
   * @throws SiriError RANDOM_SAMPLE when size is not in [0, n]
   */
  choice(n: number, size: number): Uint32Array {
    if (!(size >= 0 && size <= n)) throw new SiriError("RANDOM_SAMPLE", `cannot draw ${size} different ones out of ${n}`);
    const items = Uint32Array.from({ length: n }, (_, i) => i);
    this.shuffle(items);
    return items.slice(0, size);
  }
}
