// Set-up from a fresh clone: dependencies, native engine, TypeScript. Each part is skipped when it is up to date, which is told by the
// content of what it is made from, never by a clock. Plain Node, no dependencies: this runs before there are any. In a package that npm
// installed there is nothing to set up, unless its engine is to be compiled: `siri build`, or SIRI_BUILD_FROM_SOURCE with any command.
//   node scripts/setup.mjs [--force] [--only dependencies|native|typescript]
import "./check-node.mjs";
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import os from "node:os"; // whole: an old Node has no availableParallelism, and is to be told so by check-node.mjs
import { delimiter, dirname, join, relative } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { withSetupLock } from "./setup-lock.mjs";

export const root = dirname(dirname(fileURLToPath(import.meta.url)));
const windows = process.platform === "win32";

/** A set-up that cannot go on: `message` is the one line the user reads, `detail` the tail of a tool's output. */
export class SetupError extends Error {
  constructor(message, detail = "") {
    super(message);
    this.detail = detail;
  }
}

// The TypeScript sources are not in the package that npm installs.
const clone = existsSync(join(root, "tsconfig.build.json"));

// In the order they are done. `unasked`: also when not this part alone was asked for.
const parts = [
  {
    name: "dependencies",
    applies: () => existsSync(join(root, "package-lock.json")),
    unasked: true,
    isCurrent: dependenciesCurrent,
    build: installDependencies,
  },
  {
    name: "native",
    applies: () => existsSync(join(root, "CMakeLists.txt")),
    unasked: clone || Boolean(process.env.SIRI_BUILD_FROM_SOURCE),
    isCurrent: nativeCurrent,
    build: buildNative,
  },
  {
    name: "typescript",
    applies: () => clone,
    unasked: true,
    isCurrent: typescriptCurrent,
    build: buildTypescript,
  },
];

/** Brings everything (or one part) up to date. @throws SetupError */
export function setUp({ force = false, only = undefined } = {}) {
  const chosen = parts.filter((part) => (only === undefined ? part.unasked : part.name === only) && part.applies());
  if (only !== undefined && chosen.length === 0) {
    throw new SetupError(`--only ${only} is not a part of the set-up: use ${parts.map((part) => part.name).join(", ")}.`);
  }
  if (!force && chosen.every((part) => part.isCurrent())) return;
  try {
    withSetupLock(root, () => {
      for (const part of chosen) {
        const skip = part.isCurrent() && !(force && part.name !== "dependencies");
        if (!skip) part.build();
      }
    });
  } catch (error) {
    if (!["EACCES", "EPERM", "EROFS"].includes(error.code)) throw error;
    throw new SetupError(`Nothing can be written into ${root} (${error.code}): do this as the user whom the folder belongs to.`);
  }
}

/** Runs `work`, and turns its SetupError into one line and exit code 1. */
export async function reportingErrors(work) {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    if (error.detail !== "") console.error(error.detail);
    console.error(error.message);
    process.exit(1);
  }
}

// ---- dependencies

function dependenciesStamp() {
  return join(root, "node_modules", ".setup-stamp");
}

function dependenciesCurrent() {
  const installed = join(root, "node_modules", ".package-lock.json"); // npm's own record of what it installed
  if (!existsSync(installed)) return false;
  if (readStamp(dependenciesStamp()) === hashFiles([join(root, "package-lock.json")])) return true;
  return statSync(installed).mtimeMs > statSync(join(root, "package-lock.json")).mtimeMs; // installed by hand
}

function installDependencies() {
  // Inside npm its own program is known; elsewhere the one on the PATH is taken.
  const npm = process.env.npm_execpath?.endsWith(".js") ? [process.execPath, process.env.npm_execpath] : [windows ? "npm.cmd" : "npm"];
  run("Installing the npm packages", [...npm, "ci", "--include=dev", "--no-audit", "--no-fund", "--loglevel=error"], {
    missing: "siri-rl needs npm to install its packages, and none was found: it comes with Node.js (https://nodejs.org).",
    failed: "npm could not install the packages (its output is above): check the network and the npm registry settings, then try again.",
    shell: windows && npm.length === 1,
  });
  writeFileSync(dependenciesStamp(), hashFiles([join(root, "package-lock.json")]));
}

// ---- native

export function addonPath() {
  return join(root, "build", "Release", "siri.node");
}

/** The check program of the native engine, or null when the build has none. */
export function checkProgram() {
  const name = windows ? "siri_check.exe" : "siri_check";
  const path = join(root, "build", "Release", name);
  return existsSync(path) ? path : null;
}

function nativeStamp() {
  return join(root, "build", ".setup-stamp");
}

function nativeCurrent() {
  return existsSync(addonPath()) && readStamp(nativeStamp()) === nativeContent();
}

function nativeContent() {
  const isSource = (name) => /\.(c|cc|cpp|h|hpp|inl|cu|cuh|map|txt|cmake)$/.test(name);
  const sources = ["native", "cuda"].flatMap((folder) => listFiles(join(root, folder), isSource));
  return hashFiles([...sources, join(root, "CMakeLists.txt")], `${process.platform} ${process.arch} ${cudaFlags().join(" ")}`);
}

function buildNative() {
  const require = createRequire(join(root, "package.json"));
  let cmakeJs;
  try {
    cmakeJs = require.resolve("cmake-js/bin/cmake-js");
  } catch {
    throw new SetupError("The package cmake-js is missing: run npm ci.");
  }
  const tools = requireTools();
  const content = nativeContent();

  // A build folder that was configured by other tools, copied from elsewhere, or never got to the end, is begun anew.
  const build = join(root, "build");
  const configuration = join(build, ".setup-configuration");
  if (readStamp(configuration) !== tools) rmSync(build, { recursive: true, force: true });
  rmSync(nativeStamp(), { force: true });

  const jobs = os.availableParallelism();
  run(
    `Building the native engine (${jobs} ${jobs === 1 ? "job" : "jobs"})`,
    [process.execPath, cmakeJs, "build", "-p", String(jobs), "-d", root, "-l", "warn", ...toolsetFlags, ...cudaFlags()],
    {
      failed: "The native engine could not be built (the end of the compiler's output is above).",
    },
  );
  if (!existsSync(addonPath()))
    throw new SetupError(`The native build ended without ${relative(root, addonPath())}: delete build/ and try again.`);
  writeFileSync(configuration, tools);
  writeFileSync(nativeStamp(), content);
}

// The vectors of native/cpu/simd.h are a language extension of GCC and Clang; Visual Studio has Clang as a toolset.
const toolsetFlags = windows ? ["--toolset", "ClangCL"] : [];

const CUDA_OFF = "--CDSIRI_CUDA=OFF";
let cuda; // asked once

/**
 * CMake's variables for CUDA. SIRI_CUDA_ARCHITECTURES says for which GPUs kernels are compiled: `all`, `off`, or CMake's list (`90a-real`).
 * Without it: for the GPU of this machine, since all of them take minutes; where there is no GPU, none, since nothing could run them.
 */
function cudaFlags() {
  if (cuda !== undefined) return cuda;
  const wanted = process.env.SIRI_CUDA_ARCHITECTURES ?? "";
  const flags = (architectures) => ["--CDSIRI_CUDA=ON", ...(architectures === "" ? [] : [`--CDCMAKE_CUDA_ARCHITECTURES=${architectures}`])];
  if (wanted === "off") cuda = [CUDA_OFF];
  else if (wanted !== "") cuda = flags(wanted === "all" ? "" : wanted);
  else {
    const query = onPath("nvcc")
      ? spawnSync("nvidia-smi", ["--query-gpu=compute_cap", "--format=csv,noheader"], { encoding: "utf8" })
      : null;
    const capabilities = [...new Set((query?.stdout ?? "").match(/\d+\.\d+/g) ?? [])].map((text) => text.replace(".", ""));
    // Hopper's own instructions belong to sm_90a.
    const architectures = capabilities.map((text) => `${text === "90" ? "90a" : text}-real`);
    cuda = architectures.length > 0 ? flags(architectures.join(";")) : [CUDA_OFF];
  }
  return cuda;
}

/** Checks that the tools to build with are here, all at once; returns a text that changes when they do. */
function requireTools() {
  const missing = [];
  const cmake = spawnSync("cmake", ["--version"], { encoding: "utf8" });
  const version = /version (\d+)\.(\d+)/.exec(cmake.stdout ?? "");
  if (version === null) missing.push({ what: "CMake 3.20 or newer", debian: "cmake", fedora: "cmake", mac: "brew install cmake" });
  else if (Number(version[1]) === 3 && Number(version[2]) < 20) {
    missing.push({
      what: `CMake 3.20 or newer (this is ${version[1]}.${version[2]})`,
      debian: "cmake",
      fedora: "cmake",
      mac: "brew install cmake",
    });
  }
  let compiler = "";
  let builder = "";
  if (!windows) {
    const compilers = process.env.CXX ? [process.env.CXX] : ["c++", "g++", "clang++"];
    const found = compilers.filter((name) => onPath(name));
    compiler = found.find(compilesCpp20) ?? "";
    const toolbox = { debian: "build-essential", fedora: "gcc-c++ make", mac: "xcode-select --install" };
    if (found.length === 0) missing.push({ what: "a C++20 compiler", ...toolbox });
    else if (compiler === "")
      missing.push({ what: `a C++20 compiler (${found[0]} is not one: it is too old or has no standard library)`, ...toolbox });
    builder = ["ninja", "make"].find((name) => onPath(name)) ?? "";
    if (builder === "") missing.push({ what: "make or ninja", ...toolbox });
  }
  if (missing.length > 0) {
    const what = missing.map((tool) => tool.what).join(" and ");
    throw new SetupError(`siri-rl needs ${what} to build its native engine: ${installHint(missing)}.`);
  }
  return JSON.stringify([
    root,
    process.platform,
    process.arch,
    cmake.stdout.split("\n")[0],
    compiler,
    builder,
    ...cudaFlags().filter((flag) => flag !== CUDA_OFF),
  ]);
}

function installHint(missing) {
  const each = (key) => [...new Set(missing.flatMap((tool) => tool[key].split(" ")))].join(" ");
  if (windows) return "install CMake (https://cmake.org) and the Visual Studio build tools for C++";
  if (process.platform === "darwin") return `run ${[...new Set(missing.map((tool) => tool.mac))].join(" and ")}`;
  return `install it with "apt-get install ${each("debian")}" (Debian, Ubuntu) or "dnf install ${each("fedora")}" (Fedora)`;
}

function onPath(name) {
  if (name.includes("/")) return existsSync(name);
  return (process.env.PATH ?? "").split(delimiter).some((folder) => folder !== "" && existsSync(join(folder, name)));
}

function compilesCpp20(compiler) {
  const [program, ...flags] = compiler.split(" ");
  const result = spawnSync(program, [...flags, "-std=c++20", "-fsyntax-only", "-x", "c++", "-"], {
    input: "#include <concepts>\n#include <span>\nint main() { return 0; }\n",
  });
  return result.status === 0;
}

// ---- TypeScript

function typescriptStamp() {
  return join(root, "dist", ".setup-stamp");
}

function typescriptCurrent() {
  return readStamp(typescriptStamp()) === typescriptContent();
}

function typescriptContent() {
  const sources = listFiles(join(root, "src"), (name) => name.endsWith(".ts") && !name.endsWith(".test.ts"));
  return hashFiles([...sources, join(root, "tsconfig.json"), join(root, "tsconfig.build.json")]);
}

function buildTypescript() {
  const content = typescriptContent();
  const compiler = join(root, "node_modules", "typescript", "bin", "tsc");
  if (!existsSync(compiler)) throw new SetupError("The package typescript is missing: run npm ci --include=dev.");
  const fresh = join(root, "dist-new"); // whoever runs from dist/ meanwhile sees the old files or the new ones
  rmSync(fresh, { recursive: true, force: true });
  try {
    run("Compiling TypeScript", [process.execPath, compiler, "-p", join(root, "tsconfig.build.json"), "--outDir", fresh], {
      failed: "TypeScript found errors (they are above).",
    });
    writeFileSync(join(fresh, ".setup-stamp"), content);
    rmSync(join(root, "dist"), { recursive: true, force: true });
    renameSync(fresh, join(root, "dist"));
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
}

// ---- helpers

/** Runs a tool with its output kept back; one line says what goes on and how long it took. A compiler says last what matters, npm first. */
function run(title, command, { missing, failed, shell = false, head = false }) {
  const begun = Date.now();
  process.stderr.write(`${title} ... `);
  const result = spawnSync(command[0], command.slice(1), { cwd: root, encoding: "utf8", shell, maxBuffer: 1 << 28 });
  if (result.status === 0) {
    process.stderr.write(`done in ${((Date.now() - begun) / 1000).toFixed(1)} s\n`);
    return;
  }
  process.stderr.write("failed\n");
  if (result.error?.code === "ENOENT" && missing !== undefined) throw new SetupError(missing);
  if (result.error !== undefined) throw new SetupError(`${failed} (${result.error.message})`);
  if (result.signal !== null) throw new SetupError(`${title} was stopped by ${result.signal}.`);
  const output = `${result.stdout}${result.stderr}`.trimEnd().split("\n");
  throw new SetupError(failed, (head ? output.slice(0, 20) : output.slice(-60)).join("\n"));
}

function readStamp(path) {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return null;
  }
}

function listFiles(folder, wanted) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && wanted(entry.name))
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name))
    .sort();
}

function hashFiles(paths, salt = "") {
  const hash = createHash("sha256").update(salt);
  for (const path of paths) {
    const content = readFileSync(path);
    hash.update(`\0${relative(root, path)}\0${content.length}\0`).update(content);
  }
  return hash.digest("hex");
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const args = process.argv.slice(2);
  const at = args.indexOf("--only");
  await reportingErrors(() => setUp({ force: args.includes("--force"), only: at < 0 ? undefined : (args[at + 1] ?? "") }));
}
