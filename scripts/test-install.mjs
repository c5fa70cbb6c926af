// What users get: installs the packed packages into an empty project without compiler, CMake and Python, looks at siri doctor, trains, and
// puts engines into the platform package that cannot work.
//   node scripts/test-install.mjs [PACKAGES] [--source]    --source: also compiles the engine there by `siri build` (minutes)
import "./check-node.mjs";
import { copyFileSync, existsSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { consumer, engineFile, tarballs } from "./consumer.mjs";
import { reportingErrors, SetupError } from "./setup.mjs";

const source = process.argv.includes("--source");
const [packages = "packages"] = process.argv.slice(2).filter((argument) => argument !== "--source");
let passed = 0;

/** Runs one test; the first that fails ends the command. */
function check(name, work) {
  const begun = Date.now();
  const note = work();
  passed++;
  console.log(`ok  ${name} (${((Date.now() - begun) / 1000).toFixed(1)} s)${note === undefined ? "" : `: ${note}`}`);
}

function expect(result, status, pattern) {
  const output = `${result.stdout}${result.stderr}`;
  if (result.status !== status || !pattern.test(output))
    throw new SetupError(`expected exit code ${status} and ${pattern}, found ${result.status ?? result.signal} and:\n${output}`);
  return pattern.exec(output)[0];
}

await reportingErrors(() => {
  const user = consumer(tarballs(packages));
  try {
    const file = engineFile(user.project);
    const root = join(user.project, "node_modules", "siri-rl");
    check("npm install built nothing and ran no script", () => {
      if (/gyp|cmake|rebuild|install script/i.test(user.output)) throw new SetupError(user.output);
      if (existsSync(join(root, "build"))) throw new SetupError(`${join(root, "build")} is there`);
    });
    check("npx siri doctor", () => expect(user.npx(["doctor"]), 0, /binary .*platform package @siri-rl\/engine-.*/));
    check("npx siri doctor with a home that cannot be written", () =>
      expect(user.run(["doctor"], { env: { HOME: file } }), 0, /binary .*platform package/),
    );
    check("the package is imported from a program", () => {
      const program = `import { Policy } from "siri-rl";
        const policy = await Policy.load("node_modules/siri-rl/models/tiny");
        const { tokens } = await policy.sample([17, 42, 99], { maxTokens: 20, temperature: 1, seed: 7 });
        console.log(tokens.length, "tokens");`;
      writeFileSync(join(user.project, "program.mjs"), program);
      return expect(user.run([], { program: "program.mjs" }), 0, /^\d+ tokens/);
    });
    check("npx siri train, for a minute", () => {
      const small = [
        "iterations=3",
        "warmup.maxIterations=1",
        "mining.maxIterations=1",
        "mining.minIterations=1",
        "evaluation.every=0",
        "evaluation.tasks=24",
      ];
      const result = user.run(["train", "--name", "trial", "--seed", "1", ...small.flatMap((key) => ["--set", key])]);
      expect(result, 0, /iteration 3\/3/);
      const lines = readFileSync(join(user.project, "runs", "trial", "metrics.jsonl"), "utf8")
        .trim()
        .split("\n").length;
      if (!existsSync(join(user.project, "runs", "trial", "final", "model.safetensors"))) throw new SetupError("no final policy was saved");
      return `${lines} lines of metrics, the policy is saved`;
    });

    const kept = join(user.folder, "kept.node");
    copyFileSync(file, kept);
    const broken = (name, damage, pattern) =>
      check(name, () => {
        copyFileSync(kept, file);
        damage();
        return expect(user.run(["doctor"]), 1, pattern).replace(/\s+/g, " ");
      });
    const bytes = readFileSync(kept);
    if (process.platform === "linux") {
      broken(
        "an engine for another processor",
        () => writeFileSync(file, foreign(bytes)),
        /engine-.*: was built for linux \w+, and this is linux \w+/,
      );
      broken("an engine cut short", () => truncateSync(file, bytes.length >> 1), /engine-.*: is cut short: \d+ of \d+ bytes are there/);
    } else {
      broken("an engine cut short", () => truncateSync(file, bytes.length >> 1), /engine-.*: .+/);
    }
    broken("an empty engine", () => truncateSync(file, 0), /engine-.*: is empty/);
    broken("no engine", () => rmSync(file), /engine-.*: no such file/);
    broken("what to do about it", () => rmSync(file), /Build it with: npx siri build/);
    check("no platform package", () => {
      rmSync(join(file, ".."), { recursive: true });
      return expect(user.run(["doctor"]), 1, /not installed: npm leaves it out with --omit=optional/);
    });
    check("siri build without a compiler says what is missing", () =>
      expect(
        user.run(["build"]),
        1,
        process.platform === "win32" ? /needs CMake/ : /siri-rl needs CMake 3\.20 or newer and a C\+\+20 compiler/,
      ),
    );
    check("SIRI_BUILD_FROM_SOURCE builds before any command", () =>
      expect(user.run(["doctor"], { env: { SIRI_BUILD_FROM_SOURCE: "1" } }), 1, /siri-rl needs CMake/),
    );
    if (source) {
      const env = { PATH: process.env.PATH };
      check("siri build", () => expect(user.run(["build"], { env }), 0, /The engine is now the local build .*/));
      check("npx siri doctor with it", () => expect(user.run(["doctor"]), 0, /binary .*local build/));
    }
    console.log(`${passed} passed`);
  } finally {
    user.remove();
  }
});

/** The same ELF file with the other processor's number in its header. */
function foreign(bytes) {
  const copy = Buffer.from(bytes);
  copy.writeUInt16LE(copy.readUInt16LE(18) === 183 ? 62 : 183, 18);
  return copy;
}
