// Makes the npm packages: one for each platform that has an engine in the folder of artifacts, and siri-rl itself, which names them as its
// optional dependencies. Nothing in the clone changes: package.json there must not name packages that may not be published yet.
//   node scripts/package.mjs [ARTIFACTS] [PACKAGES] [--partial]    --partial: only the platforms that are there, for trials
import "./check-node.mjs";
import { spawnSync } from "node:child_process";
import { copyFileSync, cpSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { installExtra, npm } from "./extras.mjs";
import { binaryName, PLATFORMS } from "./platforms.mjs";
import { reportingErrors, root, SetupError, setUp } from "./setup.mjs";

const partial = process.argv.includes("--partial");
const [artifacts = "artifacts", packages = "packages"] = process.argv.slice(2).filter((argument) => argument !== "--partial");
const stage = join(root, "build-package");

await reportingErrors(() => {
  setUp({ only: "dependencies" });
  setUp({ only: "typescript" });
  const tools = installExtra("packaging", "@napi-rs/cli (90 MB)");
  const platforms = Object.keys(PLATFORMS).filter((platform) => existsSync(join(artifacts, binaryName(platform))));
  const missing = Object.keys(PLATFORMS).filter((platform) => !platforms.includes(platform));
  if (platforms.length === 0 || (missing.length > 0 && !partial))
    throw new SetupError(`${artifacts} lacks ${missing.map(binaryName).join(", ")}. For a trial with what is there: --partial.`);

  rmSync(stage, { recursive: true, force: true });
  for (const name of packedFiles()) cpSync(join(root, name), join(stage, name), { recursive: true });
  const manifest = readManifest(stage);
  manifest.napi.targets = platforms.map((platform) => PLATFORMS[platform].rust);
  delete manifest.devDependencies; // nothing of them is of use in the package
  delete manifest.scripts;
  // Provenance wants to know the repository, and the service that builds a release says which one it is.
  if (process.env.GITHUB_REPOSITORY)
    manifest.repository = { type: "git", url: `git+https://github.com/${process.env.GITHUB_REPOSITORY}.git` };
  writeManifest(stage, manifest);

  const built = join(stage, "artifacts");
  mkdirSync(built);
  for (const platform of platforms) copyFileSync(join(artifacts, binaryName(platform)), join(built, binaryName(platform)));
  const napi = (...args) => run(process.execPath, [join(tools, "node_modules", "@napi-rs", "cli", "dist", "cli.js"), ...args]);
  napi("create-npm-dirs");
  napi("artifacts", "--output-dir", "artifacts");
  napi("pre-publish", "--tag-style", "npm", "--skip-optional-publish", "--no-gh-release");
  for (const platform of platforms) describe(platform);

  const out = resolve(packages);
  rmSync(out, { recursive: true, force: true });
  mkdirSync(out, { recursive: true });
  for (const folder of [...platforms.map((platform) => join(stage, "npm", platform)), stage]) {
    const [packed] = pack(folder, ["--pack-destination", out]);
    console.log(`${join(packages, packed.filename)}  ${packed.size} bytes, ${packed.unpackedSize} unpacked, ${packed.entryCount} files`);
  }
  rmSync(stage, { recursive: true });
});

/** What npm would pack of the clone. */
function packedFiles() {
  return pack(root, ["--dry-run"])[0].files.map(({ path }) => path);
}

function pack(folder, args) {
  const result = npm(["pack", "--json", "--ignore-scripts", "--loglevel=error", ...args], {
    cwd: folder,
    encoding: "utf8",
    maxBuffer: 1 << 28,
  });
  if (result.status !== 0) throw new SetupError(`npm pack failed in ${folder}: ${result.stderr}`);
  return JSON.parse(result.stdout);
}

/** The page of a platform's package, and the line that registries show. */
function describe(platform) {
  const folder = join(stage, "npm", platform);
  const { glibc, holds } = PLATFORMS[platform];
  const bytes = statSync(join(folder, binaryName(platform))).size;
  const manifest = readManifest(folder);
  manifest.description = `The compiled engine of siri-rl for ${platform}: ${holds}.`;
  writeManifest(folder, manifest);
  writeFileSync(
    join(folder, "README.md"),
    `# ${manifest.name}

The compiled engine of [siri-rl](https://www.npmjs.com/package/siri-rl) ${manifest.version} for ${platform}: ${holds}. It comes along with
\`npm install siri-rl\` on such a machine and is of no use by itself; both have the same version.

One file, ${binaryName(platform)}, ${(bytes / 1e6).toFixed(1)} MB, for every Node.js from 20.17 on (Node-API 8)${glibc === undefined ? "" : `, under glibc ${glibc} or newer`}. No install script.
\`npx siri doctor\` tells whether it works on a machine; \`npx siri build\` compiles an engine from source where it does not.
`,
  );
}

function readManifest(folder) {
  return JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
}

function writeManifest(folder, manifest) {
  writeFileSync(join(folder, "package.json"), `${JSON.stringify(manifest, null, 2)}\n`);
}

function run(program, args) {
  const result = spawnSync(program, args, { cwd: stage, encoding: "utf8", maxBuffer: 1 << 28 });
  if (result.status !== 0) throw new SetupError(`${args.slice(1).join(" ")} failed:\n${result.stdout}${result.stderr}`);
}
