// `npm run setup:onnx`, and a part of `npm test`: installs ONNX Runtime into extras/onnxruntime, apart from the package's own dependencies,
// so that `npm run train` on a fresh machine does not wait for 430 MB it never uses.
import "./check-node.mjs";
import { spawnSync } from "node:child_process";
import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { reportingErrors, root, SetupError } from "./setup.mjs";
import { withSetupLock } from "./setup-lock.mjs";

const folder = join(root, "extras", "onnxruntime");

function isCurrent() {
  const installed = join(folder, "node_modules", ".package-lock.json"); // npm's own record of what it installed
  return existsSync(installed) && statSync(installed).mtimeMs >= statSync(join(folder, "package-lock.json")).mtimeMs;
}

/** @throws SetupError */
export function setUpOnnx() {
  if (!existsSync(folder)) throw new SetupError("This is no clone of siri-rl: run `npm install onnxruntime-node` in your project instead.");
  if (isCurrent()) return;
  withSetupLock(root, () => {
    if (isCurrent()) return;
    process.stderr.write("Installing ONNX Runtime for the tests of exported policies (430 MB) ...\n");
    const windows = process.platform === "win32";
    const own = process.env.npm_execpath?.endsWith(".js");
    const [program, ...before] = own ? [process.execPath, process.env.npm_execpath] : [windows ? "npm.cmd" : "npm"];
    const args = [...before, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
    const result = spawnSync(program, args, { cwd: folder, stdio: ["ignore", 2, 2], shell: windows && !own });
    if (result.status !== 0)
      throw new SetupError("npm could not install ONNX Runtime (its output is above): check the network and the npm registry settings.");
  });
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) await reportingErrors(setUpOnnx);
