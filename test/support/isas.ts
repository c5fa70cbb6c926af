/** The instruction sets that this machine and this build can run. Leaves the kernels on the last of them: tests choose their own. */
import { kernelEngine } from "../../src/kernels.js";

export const availableIsas = (["avx512", "avx2", "portable"] as const).filter((isa) => {
  try {
    return kernelEngine({ isa }).isa === isa;
  } catch {
    return false;
  }
});
