/** The command line as a user meets it: processes of their own, the shipped policy, small runs. */
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, expect, test, vi } from "vitest";

// Two dozen processes, each with an engine: minutes where the cores are busy with something else.
vi.setConfig({ testTimeout: 600_000 });

const REPOSITORY = resolve(import.meta.dirname, "..");
const MAIN = join(REPOSITORY, "src", "cli", "main.ts");
const root = mkdtempSync(join(tmpdir(), "siri-cli-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const run = join(root, "small.yaml");
writeFileSync(
  run,
  `iterations: 3
run: { name: small, root: ${JSON.stringify(join(root, "runs"))} }
environment: { name: household }
model: { path: ${JSON.stringify(join(REPOSITORY, "models", "tiny"))}, kvCacheMiB: 64 }
agent: { template: compact, maxSteps: 8, maxPromptTokens: 448 }
rollout: { groups: 2, groupSize: 4 }
update: { miniBatchRows: 0 }
warmup: { successes: 1, maxIterations: 1 }
mining: { maxIterations: 1, minActive: 1, maxTokens: 48 }
evaluation: { split: unseen, tasks: 4, every: 0 }
`,
);

interface Result {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** Runs `siri ARGS`; `during` sees the process and all it has printed so far, at every line. */
function siri(args: readonly string[], during?: (kill: (signal: NodeJS.Signals) => void, out: string) => void): Promise<Result> {
  const child = spawn(process.execPath, ["--import", "tsx", MAIN, ...args], { cwd: REPOSITORY, stdio: ["ignore", "pipe", "pipe"] });
  let [out, err] = ["", ""];
  child.stdout.on("data", (data: Buffer) => {
    out += data.toString();
    during?.((signal) => child.kill(signal), out);
  });
  child.stderr.on("data", (data: Buffer) => {
    err += data.toString();
  });
  return new Promise((done) => child.on("close", (code) => done({ code, out, err })));
}

const lines = (...path: string[]) =>
  readFileSync(join(root, ...path), "utf8")
    .trimEnd()
    .split("\n");

test("what is wrong on the command line or in the run file: one message, exit code 2", async () => {
  const wrong = join(root, "wrong.yaml");
  writeFileSync(wrong, "environment: { name: household }\nmodel: { path: m }\nrollout:\n  group: 4\n");
  const [option, command, value, key, absent] = await Promise.all([
    siri(["train", "--bogus"]),
    siri(["tran"]),
    siri(["train", "--seed", "one"]),
    siri(["train", "-c", wrong]),
    siri(["train", "-c", join(root, "absent.yaml")]),
  ]);
  expect(option).toMatchObject({ code: 2, err: expect.stringContaining("unknown option '--bogus'") });
  expect(command).toMatchObject({ code: 2, err: expect.stringContaining("Did you mean train?") });
  expect(value).toMatchObject({ code: 2, err: expect.stringContaining("whole number") });
  expect(key).toMatchObject({ code: 2, err: `error: ${wrong}:4:3: unknown key rollout.group: did you mean rollout.groups?\n` });
  expect(absent).toMatchObject({ code: 2, err: expect.stringMatching(/^error: Cannot read the run file .*\n$/) });
});

test("version, help, documentation and the doctor", async () => {
  const [version, help, docs, doctor] = await Promise.all([
    siri(["--version"]),
    siri(["--help"]),
    siri(["docs", "config"]),
    siri(["doctor", "--json"]),
  ]);
  expect(version).toMatchObject({ code: 0, out: `${JSON.parse(readFileSync(join(REPOSITORY, "package.json"), "utf8")).version}\n` });
  expect(help.code).toBe(0);
  for (const name of ["train", "eval", "play", "pretrain", "reproduce", "bench", "build", "doctor"])
    expect(help.out).toContain(`  ${name} `);
  expect(docs.out).toBe(readFileSync(join(REPOSITORY, "docs", "config.md"), "utf8"));
  expect(doctor.code).toBe(0);
  const report = JSON.parse(doctor.out) as Record<string, { text: string; ok: boolean }>;
  expect(report.binary!.text).toMatch(/^(local build|SIRI_NATIVE|platform package) .*siri.*\.node, [\d.]+ MB, (not )?tried /);
  expect(report.slow!.text).not.toBe("");
  expect(report.engine!.text).toMatch(/^loads; .*(avx512|avx2|portable).*, \d+ threads/);
  expect(Object.values(report).every(({ ok }) => ok)).toBe(true);
});

test("train: stopped by Ctrl-C it saves, resumed by its name it ends, evaluated it plays each task once", async () => {
  let stopped = 0;
  const first = await siri(["train", "-c", run], (kill, out) => {
    // As from a terminal below npm: twice within a moment.
    if (out.includes("evaluation after iteration 0") && stopped++ === 0) {
      kill("SIGINT");
      kill("SIGINT");
    }
  });
  expect(first.err).toBe("");
  expect(first.code).toBe(0);
  expect(first.out).toMatch(/Stopping: finishing the iteration and saving\. Once more leaves at once\.\n/);
  expect(first.out).toMatch(/Stopped and saved\. Go on with: npm run train -- --resume --name small\n$/);
  expect(first.out).not.toContain("iteration 3/3");
  const done = readdirSync(join(root, "runs", "small", "checkpoints")).length;
  expect(done).toBeGreaterThan(0);

  const place = ["--set", `run.root=${join(root, "runs")}`, "--name", "small"];
  const again = await siri(["train", "-c", run]);
  expect(again).toMatchObject({ code: 1, err: expect.stringContaining("go on with --resume") });
  const other = await siri(["train", "--resume", ...place, "--set", "optimiser.lr=0.5"]);
  expect(other).toMatchObject({ code: 1, err: expect.stringMatching(/optimiser\.lr: 0\.000001 in the run, 0\.5 now/) });

  const second = await siri(["train", "--resume", ...place]);
  expect(second.err).toBe("");
  expect(second.out).toMatch(/^Policy: [^\n]*\nMemory planned[\s\S]*\ngoing on after iteration \d of 3/);
  expect(second.out).toMatch(
    /iteration 3\/3 {2}internalise {2}success \d+% {2}reward .* {2}kl .* {2}clipped .* {2}entropy .* tokens\/s \d+/,
  );
  expect(second.out).toMatch(/Done\. The policy is in .*final/);
  expect(lines("runs", "small", "metrics.jsonl").map((line) => (JSON.parse(line) as { iteration: number }).iteration)).toEqual([
    0, 1, 2, 3,
  ]);
  expect(existsSync(join(root, "runs", "small", "lock"))).toBe(false);

  const third = await siri(["train", "--resume", ...place]);
  expect(third).toMatchObject({ code: 0, out: expect.stringContaining("is finished: all 3 iterations are done") });

  const policy = join(root, "runs", "small", "final");
  const result = await siri(["eval", "--policy", policy, "--json"]);
  expect(result.err).toBe("");
  const { success, games, mode, temperature } = JSON.parse(result.out) as {
    success: { n: number; rate: number };
    games: { id: string }[];
    mode: string;
    temperature: number;
  };
  // With the run's own configuration: its tasks, temperature and seeds, so its own last number.
  expect(success.n).toBe(4);
  expect(new Set(games.map(({ id }) => id)).size).toBe(4);
  expect([mode, temperature]).toEqual(["plain", 0.4]);
  expect(success.rate).toBe((JSON.parse(lines("runs", "small", "metrics.jsonl").at(-1)!) as Record<string, number>)["eval/plain/success"]);

  const [text, split, skills] = await Promise.all([
    siri(["eval", "--policy", policy, "--tasks", "2", "--temperature", "0", "--seed", "3"]),
    siri(["eval", "--policy", policy, "--split", "nowhere"]),
    siri(["eval", "--policy", policy, "--with-skills", join(root, "absent.jsonl")]),
  ]);
  expect(text.out).toMatch(/^split unseen, temperature 0, no skills in the prompt\ntask type +games {2}success {2}95% interval\n/);
  expect(text.out).toMatch(/\nall +2 +\d+\.\d% {3}\[ *\d+\.\d%, *\d+\.\d%\]\n/);
  expect(split).toMatchObject({ code: 2, err: expect.stringContaining("household has the splits") });
  expect(skills).toMatchObject({ code: 1, err: expect.stringContaining("Cannot read the skills file") });
});

test("eval shows the skills of a skills file", async () => {
  const file = join(root, "skills.jsonl");
  const skill = { title: "Look first", condition: "any task", strategy: "look at the room before you act" };
  const types = ["look_at_obj_in_light", "pick_and_place_simple"];
  const mined = types.map((taskType, i) => ({
    event: "mined",
    iteration: 1,
    id: `s${i}`,
    status: "active",
    skill,
    taskType,
    sourceTask: "train/1",
  }));
  writeFileSync(file, mined.map((event) => `${JSON.stringify(event)}\n`).join(""));
  const { out, err } = await siri(["eval", "-c", run, "--with-skills", file, "--json"]);
  expect(err).toBe("");
  const result = JSON.parse(out) as { mode: string; shown: number; games: { type: string; skills: string[] }[] };
  expect(result.mode).toBe("with_skills");
  for (const game of result.games) expect(game.skills.length > 0, game.type).toBe(types.includes(game.type));
  expect(result.shown).toBeGreaterThan(0);
});

test("reproduce: goes on after an interruption, keeps what is finished, and writes the page", async () => {
  const out = join(root, "results");
  const args = ["reproduce", "--env", "household", "-c", run, "--seeds", "1", "--methods", "grpo,siri", "--out", out];
  let stopped = 0;
  const first = await siri(args, (kill, text) => {
    if (text.includes("siri, seed 0:") && text.split("evaluation after iteration 0").length > 2 && stopped++ === 0) kill("SIGTERM");
  });
  expect(first.out).toMatch(/Stopped and saved\. The same command goes on\.\n$/);
  expect(existsSync(join(out, "household.md"))).toBe(false);
  const before = lines("runs", "household-grpo-seed0", "timings.jsonl");
  const second = await siri(args);
  expect(second.err).toBe("");
  expect(second.code).toBe(0);
  expect(second.out).toMatch(/The run household-grpo-seed0 is finished/);
  expect(lines("runs", "household-grpo-seed0", "timings.jsonl")).toEqual(before);
  const page = readFileSync(join(out, "household.md"), "utf8");
  expect(page).toContain("3 iterations, 24 episodes");
  // The run file asks for no evaluation on the way, but a learning curve needs points.
  const curve = lines("runs", "household-grpo-seed0", "metrics.jsonl").filter((line) => line.includes("eval/plain/success"));
  expect(curve).toHaveLength(4);
  expect(page).toMatch(/\| GRPO \| \d+\.\d% \|/);
  expect(page).toMatch(/\| SIRI - GRPO \| [+-]?\d+\.\d \| [01] of 1 \|/);
  expect(page).toContain("split `unseen`");
  expect(readFileSync(join(out, "household.svg"), "utf8")).toMatch(/^<svg /);
  const wrong = await siri(["reproduce", "--env", "household", "--methods", "ppo"]);
  expect(wrong).toMatchObject({ code: 2, err: expect.stringContaining('There is no method "ppo"') });
});
