// The default run through its phases on another device and on the CPU, three seeds each, and whether the learning curves are the same
// within the seeds' spread. Prints a markdown page; exit code 1 when they are not.   node scripts/gpu-curves.mjs [DEVICE] [ITERATIONS] [SEEDS]
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const [device = "cuda", iterations = "12", seeds = "3"] = process.argv.slice(2);
const runs = mkdtempSync(join(tmpdir(), "siri-curves-"));

/** One line of metrics an iteration. */
function train(where, seed) {
  const name = `${where.replace(":", "-")}-seed${seed}`;
  const set = [`run.root=${JSON.stringify(runs)}`, `iterations=${iterations}`, "evaluation.every=3"].flatMap((text) => ["--set", text]);
  const args = [
    "--import",
    "tsx",
    join(root, "src/cli/main.ts"),
    "train",
    "--device",
    where,
    "--seed",
    String(seed),
    "--name",
    name,
    ...set,
  ];
  const { status, stderr } = spawnSync(process.execPath, args, { cwd: root, encoding: "utf8", stdio: ["ignore", "ignore", "pipe"] });
  if (status !== 0) throw new Error(`training on ${where}, seed ${seed}, ended with ${status}:\n${stderr.slice(-2000)}`);
  return readFileSync(join(runs, name, "metrics.jsonl"), "utf8")
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
}

const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
const deviation = (values) =>
  Math.sqrt(mean(values.map((value) => (value - mean(values)) ** 2)) * (values.length / Math.max(1, values.length - 1)));
const percent = (value) => `${(100 * value).toFixed(1)}%`;

try {
  const all = Object.fromEntries(
    ["cpu", device].map((where) => [where, Array.from({ length: Number(seeds) }, (_, seed) => train(where, seed))]),
  );
  const points = all.cpu[0].filter((line) => "eval/plain/success" in line).map(({ iteration }) => iteration);
  const at = (where, iteration) => all[where].map((run) => run.find((line) => line.iteration === iteration)["eval/plain/success"]);
  const n = all.cpu[0].find((line) => "eval/plain/tasks" in line)["eval/plain/tasks"];
  let same = true;
  const rows = points.map((iteration) => {
    const [a, b] = [at("cpu", iteration), at(device, iteration)];
    // Two means of so many seeds: three standard errors of their difference, what the games of one evaluation leave open included.
    const rate = mean([...a, ...b]);
    const allowed = 3 * Math.sqrt((Math.max(deviation(a) ** 2, deviation(b) ** 2, (rate * (1 - rate)) / n) * 2) / a.length);
    const gap = Math.abs(mean(a) - mean(b));
    if (gap > allowed) same = false;
    return `| ${iteration} | ${a.map(percent).join(", ")} | ${b.map(percent).join(", ")} | ${percent(gap)} | ${percent(allowed)} |`;
  });
  const gaps = all[device].flatMap((run) => run.map((line) => line["update/logprob_gap_max"]).filter((gap) => gap !== undefined));
  const phases = [...new Set(all[device].flatMap((run) => run.map(({ phase }) => phase)))];
  console.log(`# Learning curves: ${device} beside the CPU

\`node scripts/gpu-curves.mjs ${device} ${iterations} ${seeds}\`: the default run (configs/household-tiny.yaml), held-out games won without skills in the
prompt, one number a seed. Phases: ${phases.join(", ")}. Largest distance of a sampled and a trained log-prob on ${device}: ${Math.max(...gaps).toExponential(2)}.

| iteration | cpu | ${device} | distance of the means | allowed |
|---|---|---|---:|---:|
${rows.join("\n")}

${same ? "The same within the seeds' spread." : "NOT the same within the seeds' spread."}`);
  process.exitCode = same ? 0 : 1;
} finally {
  rmSync(runs, { recursive: true, force: true });
}
