// Installs one of the folders in extras/: packages with a lock file of their own, which few commands need and which are large.
import { spawnSync } from "node:child_process";
import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { root, SetupError } from "./setup.mjs";
import { withSetupLock } from "./setup-lock.mjs";

/** Brings extras/NAME up to date and returns its folder; `title` says what is being installed. @throws SetupError */
export function installExtra(name, title) {
  const folder = join(root, "extras", name);
  if (!existsSync(folder)) throw new SetupError(`extras/${name} is not here: this needs a clone of siri-rl.`);
  const isCurrent = () => {
    const installed = join(folder, "node_modules", ".package-lock.json"); // npm's own record of what it installed
    return existsSync(installed) && statSync(installed).mtimeMs >= statSync(join(folder, "package-lock.json")).mtimeMs;
  };
  if (isCurrent()) return folder;
  withSetupLock(root, () => {
    if (isCurrent()) return;
    process.stderr.write(`Installing ${title} ...\n`);
    const result = npm(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], { cwd: folder, stdio: ["ignore", 2, 2] });
    if (result.status !== 0)
      throw new SetupError(`npm could not install extras/${name} (its output is above): check the network and the npm registry settings.`);
  });
  return folder;
}

/** Runs npm: inside npm its own program, elsewhere the one on the PATH. */
export function npm(args, options) {
  if (process.env.npm_execpath?.endsWith(".js")) return spawnSync(process.execPath, [process.env.npm_execpath, ...args], options);
  const windows = process.platform === "win32";
  return spawnSync(windows ? "npm.cmd" : "npm", args, { ...options, shell: windows });
}
