/** Half precision: rounding to it. Reading it back is policy/safetensors.ts's work. */

/** Bits of the nearest half of each value, ties to even; beyond 65519 infinity, NaN stays NaN (IEEE 754 binary16). */
export function toFloat16(values: Float32Array): Uint16Array {
  const words = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const halves = new Uint16Array(values.length);
  for (let i = 0; i < words.length; i++) {
    const word = words[i]!;
    const sign = (word >>> 16) & 0x8000;
    const magnitude = word & 0x7fffffff;
    let half: number;
    if (magnitude > 0x7f800000) half = 0x7e00;
    else if (magnitude >= 0x477ff000) half = 0x7c00;
    // The exponents differ by 112; adding the bit above the cut and a half less one rounds to even.
    else if (magnitude >= 0x38800000) half = (magnitude - 0x38000000 + 0xfff + ((magnitude >>> 13) & 1)) >>> 13;
    else half = roundToEven(Math.abs(values[i]!) * 2 ** 24); // subnormal: multiples of 2^-24
    halves[i] = sign | half;
  }
  return halves;
}

function roundToEven(x: number): number {
  const floor = Math.floor(x);
  const rest = x - floor;
  return rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? floor + 1 : floor;
}
