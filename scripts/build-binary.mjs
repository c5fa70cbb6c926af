// Builds the engine of this machine's platform as it is published: for every GPU architecture where nvcc is, stripped, checked.
//   node scripts/build-binary.mjs [FOLDER] [--glibc VERSION|host]    into FOLDER (artifacts), see check-binary.mjs
import "./check-node.mjs";
import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { checkBinary, hostGlibc } from "./check-binary.mjs";
import { binaryName, thisPlatform } from "./platforms.mjs";
import { addonPath, reportingErrors, SetupError, setUp } from "./setup.mjs";

const args = process.argv.slice(2);
const at = args.indexOf("--glibc");
const limit = at < 0 ? undefined : args.splice(at, 2)[1];
const folder = args[0] ?? "artifacts";
const platform = thisPlatform();

await reportingErrors(() => {
  process.env.SIRI_CUDA_ARCHITECTURES ??= platform === "linux-x64-gnu" ? "all" : "off";
  setUp({ only: "dependencies" });
  setUp({ only: "native", force: true });
  mkdirSync(folder, { recursive: true });
  const file = join(folder, binaryName(platform));
  copyFileSync(addonPath(), file);
  const steps = {
    linux: [["strip", "--strip-unneeded", file]],
    darwin: [["strip", "-x", file], ["codesign", "--force", "--sign", "-", file]], // stripping breaks the linker's signature
    win32: [],
  }[process.platform];
  for (const [program, ...rest] of steps ?? []) {
    const { status, error } = spawnSync(program, rest, { stdio: "inherit" });
    if (status !== 0) throw new SetupError(`${program} failed on ${file}${error === undefined ? "" : `: ${error.message}`}.`);
  }
  checkBinary(file, platform, limit === "host" ? hostGlibc() : limit);
});
