/**
 * Seeded random numbers for everything in this folder: splitmix32 over a 53-bit seed. The same seed gives the same numbers on
 * every machine; nothing here reads a clock or a global generator.
 */

const GOLDEN = 0x9e3779b9;

/** FNV-1a over UTF-16 code units, 32 bits. Also decides which (object, target) pairs are held out, so it must never change. */
export function hashText(text: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  return h >>> 0;
}

function mix(z: number): number {
  z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
  z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
  return (z ^ (z >>> 15)) >>> 0;
}

export class Rng {
  private state: number;

  /** @param seed whole number in [0, 2^53); `stream` separates generators that share a seed. */
  constructor(seed: number, stream = "") {
    const low = (seed % 2 ** 32) | 0;
    const high = Math.floor(seed / 2 ** 32) | 0;
    this.state = mix(low ^ mix(high + GOLDEN) ^ hashText(stream)) | 0;
  }

  /** Uniform 32-bit unsigned integer. */
  bits(): number {
    this.state = (this.state + GOLDEN) | 0;
    return mix(this.state);
  }

  /** Uniform in [0, 1). */
  next(): number {
    return this.bits() / 2 ** 32;
  }

  chance(probability: number): boolean {
    return this.next() < probability;
  }

  /** Uniform whole number in [low, high], both ends included. */
  int(low: number, high: number): number {
    return low + Math.floor(this.next() * (high - low + 1));
  }

  /** One element, each equally likely. The list must not be empty. */
  pick<T>(items: readonly T[]): T {
    return items[Math.floor(this.next() * items.length)] as T;
  }

  /** A new array in random order. */
  shuffle<T>(items: readonly T[]): T[] {
    const out = [...items];
    for (let i = out.length - 1; i > 0; i--) {
      const j = Math.floor(this.next() * (i + 1));
      const held = out[i] as T;
      out[i] = out[j] as T;
      out[j] = held;
    }
    return out;
  }
}
