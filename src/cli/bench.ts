/** `siri bench engine` and `siri bench peer`: speed on this machine, as text or JSON. */
import type { Command } from "commander";
import { benchEngine, engineReport } from "../bench/engine.js";
import { benchPeer, peerReport } from "../bench/peer.js";
import { SiriError } from "../errors.js";
import { resolveThreads } from "../native.js";

function count(name: string, text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new SiriError("SIRI_ARGUMENT", `--${name} is ${text}; it must be a positive integer`);
  return value;
}

const print = (text: string): void => void process.stdout.write(`${text}\n`);

export function register(program: Command): void {
  const bench = program.command("bench").description("Measures the engine on this machine. Run it when nothing else runs.");
  bench
    .command("engine")
    .description("training, scoring and sampling on the shape of the shipped policy")
    .option("--rows <n>", "step rows per training pass", "1400")
    .option("--repetitions <n>", "measured repetitions, after one that warms up", "3")
    .option("--threads <n>", "engine threads (default: all cores)")
    .option("--json", "print the numbers as JSON")
    .action(async (options: { rows: string; repetitions: string; threads?: string; json?: boolean }) => {
      const result = await benchEngine({
        rows: count("rows", options.rows),
        repetitions: count("repetitions", options.repetitions),
        ...(options.threads ? { threads: count("threads", options.threads) } : {}),
      });
      print(options.json ? JSON.stringify(result) : engineReport(result));
    });
  bench
    .command("peer")
    .description("one training step here and in PyTorch on the CPU, in turns")
    .option("--rounds <n>", "rounds of both", "3")
    .option("--threads <n>", "threads of both (default: all cores)")
    .option("--json", "print the numbers as JSON")
    .action(async (options: { rounds: string; threads?: string; json?: boolean }) => {
      const threads = resolveThreads(options.threads ? count("threads", options.threads) : undefined);
      const result = await benchPeer({ rounds: count("rounds", options.rounds), threads });
      if (typeof result === "string") print(result);
      else print(options.json ? JSON.stringify(result) : peerReport(result));
    });
}
