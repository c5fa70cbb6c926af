// Reads what `nvcc -Xptxas -v` prints and fails on a kernel that spills registers or keeps local arrays in memory.
//   node scripts/cuda-spills.mjs LOG...
// A kernel's line: "N bytes stack frame, N bytes spill stores, N bytes spill loads" after "Function properties for NAME".
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

/** @returns one entry per kernel and architecture: { kernel, architecture, stack, stores, loads, registers } */
export function kernels(log) {
  const found = [];
  let architecture = "";
  let kernel = "";
  for (const line of log.split("\n")) {
    const compiling = /Compiling entry function '([^']+)' for '(sm_\w+)'/.exec(line);
    if (compiling !== null) architecture = compiling[2];
    const properties = /Function properties for (\S+)/.exec(line);
    if (properties !== null) kernel = properties[1];
    const sizes = /(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads/.exec(line);
    if (sizes !== null) {
      const [stack, stores, loads] = sizes.slice(1).map(Number);
      found.push({ kernel, architecture, stack, stores, loads, registers: 0 });
    }
    const registers = /Used (\d+) registers/.exec(line);
    if (registers !== null && found.length > 0) found[found.length - 1].registers = Number(registers[1]);
  }
  return found;
}

export function spilling(all) {
  return all.filter((entry) => entry.stores > 0 || entry.loads > 0 || entry.stack > 0);
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const logs = process.argv.slice(2);
  if (logs.length === 0) {
    console.error("usage: node scripts/cuda-spills.mjs LOG...");
    process.exit(2);
  }
  const all = logs.flatMap((log) => kernels(readFileSync(log, "utf8")));
  if (all.length === 0) {
    console.error("no kernel in the log: was it made with -Xptxas -v?");
    process.exit(2);
  }
  const bad = spilling(all);
  for (const entry of bad)
    console.log(`${entry.kernel} (${entry.architecture}): ${entry.stack} bytes of stack, ${entry.stores} stored, ${entry.loads} loaded`);
  const most = all.reduce((a, b) => (b.registers > a.registers ? b : a));
  console.log(
    `${all.length} kernels, ${bad.length} with spills or a stack; most registers: ${most.registers} (${most.kernel}, ${most.architecture})`,
  );
  process.exit(bad.length === 0 ? 0 : 1);
}
