/**
 * `siri doctor`: what a bug report needs and what a user checks first: versions, processor, memory, and whether the compiled engine loads
 * and computes. Exit code 1 when something that training needs is not there.
 */
import { existsSync, readFileSync } from "node:fs";
import { availableParallelism, cpus, freemem, release, totalmem } from "node:os";
import { join } from "node:path";
import type { Command } from "commander";
import { type NativeConfig, native, resolveIsa, resolveThreads } from "../native.js";
import { DEFAULT_CONFIG } from "./options.js";
import { PACKAGE_ROOT, packageVersion } from "./package.js";

/** One line of the report. */
interface Finding {
  readonly name: string;
  readonly text: string;
  readonly ok: boolean;
}

export function register(program: Command): void {
  program
    .command("doctor")
    .description("show versions, processor, memory and whether the compiled engine works")
    .option("--json", "as one JSON object")
    .action(async ({ json }: { json?: boolean }) => {
      const findings = [...machine(), await engine(), defaults()];
      if (json) console.log(JSON.stringify(Object.fromEntries(findings.map(({ name, text, ok }) => [name, { text, ok }])), null, 1));
      else for (const { name, text, ok } of findings) console.log(`${ok ? " " : "!"} ${name.padEnd(10)} ${text}`);
      if (!findings.every(({ ok }) => ok)) process.exitCode = 1;
    });
}

function machine(): Finding[] {
  const fine = (name: string, text: string): Finding => ({ name, text, ok: true });
  const gib = (bytes: number) => `${(bytes / 2 ** 30).toFixed(1)} GiB`;
  // constrainedMemory is 0 or a huge number where no limit is set.
  const limit = process.constrainedMemory();
  const limited = limit > 0 && limit < totalmem() ? `, limited to ${gib(limit)}` : "";
  return [
    fine("siri-rl", packageVersion()),
    fine("node", `${process.versions.node} (${process.platform} ${process.arch}, ${release()})`),
    fine("processor", `${cpus()[0]?.model.trim() ?? "unknown"}, ${availableParallelism()} usable cores${features()}`),
    fine("memory", `${gib(totalmem())}, ${gib(freemem())} free${limited}`),
  ];
}

/** The instruction sets that matter here, as the kernel lists them; nothing where it does not. */
function features(): string {
  let text: string;
  try {
    text = readFileSync("/proc/cpuinfo", "utf8");
  } catch {
    return "";
  }
  const flags = new Set((/^(?:flags|Features)\s*:\s*(.*)$/m.exec(text)?.[1] ?? "").split(" "));
  const known = ["avx2", "fma", "avx512f", "avx512vl", "avx512bw", "avx512dq", "avx512_bf16", "asimd", "sve"].filter((flag) =>
    flags.has(flag),
  );
  return known.length === 0 ? "" : `, ${known.join(" ")}`;
}

/** Loads the addon and opens a toy engine, so that it is known which instruction set was chosen. */
async function engine(): Promise<Finding> {
  const toy: NativeConfig = {
    layers: 1,
    hidden: 16,
    heads: 2,
    kvHeads: 1,
    headDim: 8,
    intermediate: 32,
    vocab: 32,
    maxPositions: 32,
    rmsEps: 1e-6,
    tied: true,
    qkvBias: false,
    qkNorm: false,
    rope: { theta: 10_000, llama3: false },
  };
  try {
    const threads = resolveThreads(undefined);
    const opened = new (native().Engine)(toy, {
      threads,
      isa: resolveIsa(undefined),
      dtype: "float32",
      maxBatchTokens: 32,
      kvCacheMiB: 1,
      sharePrefixes: true,
    });
    const { device, threads: used } = opened.info();
    await opened.close(1);
    return { name: "engine", text: `loads; ${device}, ${used} threads (SIRI_THREADS, SIRI_ISA change that)`, ok: true };
  } catch (error) {
    return { name: "engine", text: (error as Error).message, ok: false };
  }
}

function defaults(): Finding {
  const wanted = [DEFAULT_CONFIG, "models/tiny/model.safetensors"];
  const missing = wanted.filter((file) => !existsSync(join(PACKAGE_ROOT, file)));
  if (missing.length === 0) return { name: "default", text: `${wanted.join(" and ")} are here`, ok: true };
  return { name: "default", text: `${missing.join(" and ")} missing: get a whole copy of the package`, ok: false };
}
