/** The instruction sets that this machine and this build can run. Leaves the kernels on the last of them: tests choose their own. */
import { kernelEngine } from "../../src/kernels.js";
import { INSTRUCTION_SETS } from "../../src/native.js";

export const availableIsas = INSTRUCTION_SETS.filter((isa) => {
  try {
    return kernelEngine({ isa }).isa === isa;
  } catch {
    return false;
  }
});
