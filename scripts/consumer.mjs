// An empty project with the packed packages installed, on a PATH that holds node and a shell and nothing else: no compiler, no CMake, no
// Python. What a user has who types `npm install siri-rl`.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join, resolve } from "node:path";
import { npm } from "./extras.mjs";
import { thisPlatform } from "./platforms.mjs";
import { SetupError } from "./setup.mjs";

const windows = process.platform === "win32";

/** The files of a folder of packages: siri-rl's, and the one of this platform. @throws SetupError */
export function tarballs(folder) {
  const found = existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith(".tgz")) : [];
  const find = (pattern, what) => {
    const name = found.find((file) => pattern.test(file));
    if (name === undefined)
      throw new SetupError(`${folder} holds no ${what}: make it by scripts/build-binary.mjs and scripts/package.mjs.`);
    return join(resolve(folder), name);
  };
  return {
    main: find(/^siri-rl-\d/, "package of siri-rl"),
    engine: find(new RegExp(`-engine-${thisPlatform()}-\\d`), `package for ${thisPlatform()}`),
  };
}

/** A project with both installed; run(args) is siri in it without npm, npx(args) is `npx siri`. @throws SetupError */
export function consumer({ main, engine }) {
  const folder = mkdtempSync(join(tmpdir(), "siri-consumer-"));
  const path = bareTools(folder);
  const home = join(folder, "home");
  mkdirSync(home);
  const project = join(folder, "project");
  mkdirSync(project);
  writeFileSync(join(project, "package.json"), '{"private": true}\n');
  const environment = { ...withoutTools(process.env), PATH: path, HOME: home };
  // npm itself wants its cache and settings, so that it finds the registry as it does elsewhere; install scripts run, as they do by default.
  const npmEnvironment = { ...environment, HOME: process.env.HOME, npm_config_ignore_scripts: "false", npm_config_loglevel: "warn" };
  const npmProgram = process.env.npm_execpath?.endsWith(".js") ? process.env.npm_execpath : npmFile();
  const installed = spawnSync(process.execPath, [npmProgram, "install", "--no-audit", "--no-fund", main, engine], {
    cwd: project,
    encoding: "utf8",
    env: npmEnvironment,
  });
  if (installed.status !== 0) throw new SetupError(`npm install failed in an empty project:\n${installed.stdout}${installed.stderr}`);
  const siri = join(project, "node_modules", "siri-rl", "bin", "siri.mjs");
  const run = (args, { node = process.execPath, program = siri, env = {} } = {}) =>
    spawnSync(node, [program, ...args], {
      cwd: project,
      encoding: "utf8",
      env: { ...environment, ...env },
      maxBuffer: 1 << 26,
    });
  const npx = (args) =>
    spawnSync(process.execPath, [npmProgram, "exec", "--offline", "--", "siri", ...args], {
      cwd: project,
      encoding: "utf8",
      env: npmEnvironment,
    });
  return {
    folder,
    project,
    home,
    run,
    npx,
    output: installed.stdout + installed.stderr,
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** Whatever settings would change which engine is taken or how anything is built. */
function withoutTools(env) {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !/^(SIRI_|CC$|CXX$|CMAKE|npm_|NODE_OPTIONS$|XDG_)/i.test(name)));
}

function bareTools(folder) {
  if (windows) return [join(process.env.SystemRoot, "System32")].join(delimiter);
  const bin = join(folder, "bin");
  mkdirSync(bin);
  symlinkSync(process.execPath, join(bin, "node"));
  symlinkSync("/bin/sh", join(bin, "sh"));
  return bin;
}

/** npm's own program file, to be run by node: the PATH has no npm. */
function npmFile() {
  const root = npm(["root", "--global"], { encoding: "utf8" }).stdout.trim();
  return join(root, "npm", "bin", "npm-cli.js");
}

/** The file of the engine in a project. */
export function engineFile(project) {
  const folder = join(project, "node_modules", "@siri-rl", `engine-${thisPlatform()}`);
  return join(folder, JSON.parse(readFileSync(join(folder, "package.json"), "utf8")).main);
}
