/**
 * `siri doctor`: what a bug report needs and what a user checks first: versions, processor, memory, GPUs, which compiled engine is loaded
 * and why, whether it computes, and what will be slow. Exit code 1 when something that training needs is not there.
 */
import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Command } from "commander";
import { type NativeConfig, native, nativeBinary, resolveIsa, resolveThreads } from "../native.js";
import { type EngineFacts, machineFacts, slowness } from "./machine.js";
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
    .description("show versions, machine, which compiled engine is loaded and why, whether it works, and what will be slow")
    .option("--json", "as one JSON object")
    .action(async ({ json }: { json?: boolean }) => {
      const facts = { "siri-rl": packageVersion(), ...machineFacts() };
      const { findings: ofEngine, opened } = await engine();
      const slow = slowness(opened);
      const findings: Finding[] = [
        ...Object.entries(facts).map(([name, text]) => ({ name, text, ok: true })),
        ...ofEngine,
        ...cuda(),
        defaults(),
        { name: "slow", text: slow.length === 0 ? "nothing known" : slow.join("; "), ok: true },
      ];
      if (json) console.log(JSON.stringify(Object.fromEntries(findings.map(({ name, text, ok }) => [name, { text, ok }])), null, 1));
      else for (const { name, text, ok } of findings) console.log(`${ok ? " " : "!"} ${name.padEnd(10)} ${text}`);
      if (!findings.every(({ ok }) => ok)) process.exitCode = 1;
    });
}

/** Loads the addon and opens a toy engine, so that it is known which instruction set was chosen. */
async function engine(): Promise<{ findings: Finding[]; opened?: EngineFacts }> {
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
  const findings: Finding[] = [];
  try {
    const { name, path, how, passedOver } = nativeBinary();
    const before = passedOver.length === 0 ? "the first place looked at" : `passed over: ${passedOver.join("; ")}`;
    findings.push({ name: "binary", text: `${name}, ${(statSync(path).size / 1e6).toFixed(1)} MB, ${how}; ${before}`, ok: true });
    const opened = new (native().Engine)(toy, {
      device: "cpu",
      threads: resolveThreads(undefined),
      isa: resolveIsa(undefined),
      dtype: "float32",
      maxBatchTokens: 32,
      maxRowTokens: 0,
      kvCacheMiB: 1,
      moments: "float32",
      sharePrefixes: true,
    });
    const { device, threads } = opened.info();
    await opened.close(1);
    findings.push({ name: "engine", text: `loads; ${device}, ${threads} threads (SIRI_THREADS, SIRI_ISA change that)`, ok: true });
    return { findings, opened: { isa: device, threads } };
  } catch (error) {
    findings.push({ name: "engine", text: (error as Error).message, ok: false });
    return { findings };
  }
}

/** GPUs, and what is missing where there is none that can be used: no fault, since the CPU does all of it. */
function cuda(): Finding[] {
  const line = (text: string): Finding => ({ name: "cuda", text, ok: true });
  try {
    const { devices, driver, runtime, obstacle } = native().cuda();
    const gib = (bytes: number) => `${(bytes / 2 ** 30).toFixed(1)} GiB`;
    const versions = [driver === "" ? "no driver" : `driver for CUDA ${driver}`, runtime === "" ? "" : `built with ${runtime}`];
    return [
      ...devices.map(({ name, capability, multiprocessors, memory }, i) => ({
        ...line(`${name}, compute capability ${capability}, ${multiprocessors} multiprocessors, ${gib(memory)}`),
        name: `cuda:${i}`,
      })),
      line(obstacle === "" ? `${versions.join(", ")}; --device cuda uses it` : obstacle),
    ];
  } catch (error) {
    return [line((error as Error).message)];
  }
}

function defaults(): Finding {
  const wanted = [DEFAULT_CONFIG, "models/tiny/model.safetensors"];
  const missing = wanted.filter((file) => !existsSync(join(PACKAGE_ROOT, file)));
  if (missing.length === 0) return { name: "default", text: `${wanted.join(" and ")} are here`, ok: true };
  return { name: "default", text: `${missing.join(" and ")} missing: get a whole copy of the package`, ok: false };
}
