// Publishes a folder of packages made by scripts/package.mjs: the platforms' first, siri-rl last, so that whoever installs it finds them.
// What the registry has already is left out, so that a publication that broke off can be started again.
//   node scripts/publish.mjs [PACKAGES] [--dry-run]
import "./check-node.mjs";
import { readdirSync } from "node:fs";
import { resolve } from "node:path";
import { npm } from "./extras.mjs";
import { PLATFORMS } from "./platforms.mjs";
import { reportingErrors, SetupError } from "./setup.mjs";

const dryRun = process.argv.includes("--dry-run");
const [folder = "packages"] = process.argv.slice(2).filter((argument) => argument !== "--dry-run");

await reportingErrors(() => {
  const packages = readdirSync(folder)
    .filter((name) => name.endsWith(".tgz"))
    .map((name) => describe(resolve(folder, name)))
    .sort((a, b) => Number(a.name === "siri-rl") - Number(b.name === "siri-rl"));
  const main = packages.at(-1);
  if (main?.name !== "siri-rl") throw new SetupError(`${folder} holds no package of siri-rl.`);
  const promised = Object.keys(PLATFORMS).map((platform) => `@siri-rl/engine-${platform}`);
  const missing = promised.filter((name) => !packages.some((found) => found.name === name && found.version === main.version));
  if (missing.length > 0) throw new SetupError(`${folder} lacks version ${main.version} of ${missing.join(", ")}.`);
  const tag = process.env.GITHUB_REF_TYPE === "tag" ? process.env.GITHUB_REF_NAME : undefined;
  if (tag !== undefined && tag !== `v${main.version}`) throw new SetupError(`The tag is ${tag}, and the packages are ${main.version}.`);

  for (const { name, version, file } of packages) {
    if (npm(["view", `${name}@${version}`, "version"], { encoding: "utf8" }).stdout?.trim() === version) {
      console.log(`${name}@${version} is published already`);
      continue;
    }
    // Provenance is signed by the service that runs the workflow; elsewhere there is none.
    const flags = [...(process.env.GITHUB_ACTIONS ? ["--provenance"] : []), ...(dryRun ? ["--dry-run"] : [])];
    const result = npm(["publish", file, "--access", "public", "--ignore-scripts", ...flags], { stdio: "inherit" });
    if (result.status !== 0) throw new SetupError(`npm could not publish ${name}@${version} (its output is above).`);
    console.log(`${name}@${version} ${dryRun ? "would be published" : "is published"}`);
  }
});

/** Name and version that the package itself states. */
function describe(file) {
  const result = npm(["pack", file, "--dry-run", "--json", "--loglevel=error"], { encoding: "utf8" });
  if (result.status !== 0) throw new SetupError(`npm cannot read ${file}: ${result.stderr}`);
  const [{ name, version }] = JSON.parse(result.stdout);
  return { name, version, file };
}
