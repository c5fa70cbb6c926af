/** The rotation tables of rotary position embedding (RoFormer, arXiv 2104.09864), as the engine makes them (native/model/rope_table.cpp). */
import type { NativeConfig } from "../native.js";

/** Frequency of each pair of dimensions, with Llama 3's stretching of the long wavelengths where the model has it. */
function frequencies({ headDim, rope }: NativeConfig): number[] {
  return Array.from({ length: headDim / 2 }, (_, i) => {
    const frequency = rope.theta ** ((-2 * i) / headDim);
    if (!rope.llama3) return frequency;
    const [factor, low, high, original] = [rope.factor!, rope.lowFreqFactor!, rope.highFreqFactor!, rope.originalMaxPositions!];
    const wavelength = (2 * Math.PI) / frequency;
    if (wavelength < original / high) return frequency;
    if (wavelength > original / low) return frequency / factor;
    const share = (original / wavelength - low) / (high - low);
    return ((1 - share) * frequency) / factor + share * frequency;
  });
}

/** Cosine or sine of position x frequency, [maxPositions, headDim / 2], from float64. */
export function ropeTable(config: NativeConfig, of: "cos" | "sin"): Float32Array {
  const frequency = frequencies(config);
  const table = new Float32Array(config.maxPositions * frequency.length);
  for (let at = 0, p = 0; p < config.maxPositions; p++) for (const f of frequency) table[at++] = Math[of](p * f);
  return table;
}
