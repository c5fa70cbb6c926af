// Whether a prebuilt engine keeps its promises (scripts/platforms.mjs): what it takes from the system, the oldest glibc it loads under, what
// it shows, its size. Reads the file by objdump (Linux), otool and nm (macOS) or dumpbin (Windows).
//   node scripts/check-binary.mjs FILE [PLATFORM] [--glibc VERSION]    VERSION: another limit than the promised, `host` for this machine's
import "./check-node.mjs";
import { spawnSync } from "node:child_process";
import { statSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { PLATFORMS, thisPlatform } from "./platforms.mjs";
import { reportingErrors, SetupError } from "./setup.mjs";

const ENTRY_POINTS = ["napi_register_module_v1", "node_api_module_get_api_version_v1"];
// Everything else, C++'s and CUDA's run-time libraries above all, has to be inside.
const ALLOWED = {
  linux: /^(libc\.so\.6|libm\.so\.6|libdl\.so\.2|librt\.so\.1|libpthread\.so\.0|ld-linux-(x86-64\.so\.2|aarch64\.so\.1))$/,
  darwin: /^\/usr\/lib\/(libSystem\.B|libc\+\+\.1)\.dylib$/, // part of every macOS
  win32: /^(kernel32|node)\.(dll|exe)$/i,
};

/** Facts and shortcomings of the engine in `file`. @throws SetupError when a tool is missing or cannot read the file */
export function inspectBinary(file, platform, glibcLimit) {
  const promise = PLATFORMS[platform];
  if (promise === undefined) throw new SetupError(`${platform} is no platform: there are ${Object.keys(PLATFORMS).join(", ")}.`);
  const system = platform.split("-")[0];
  const { libraries, symbols, glibc, sections } = { linux, darwin, win32 }[system](file);
  const bytes = statSync(file).size;
  const faults = [];
  const foreign = libraries.filter((name) => !ALLOWED[system].test(name));
  if (foreign.length > 0) faults.push(`needs ${foreign.join(", ")}, which a system may not have`);
  if (!symbols.includes(ENTRY_POINTS[0])) faults.push(`does not show ${ENTRY_POINTS[0]}: it is no Node addon`);
  const shown = symbols.filter((name) => !ENTRY_POINTS.includes(name));
  if (shown.length > 0) faults.push(`shows ${shown.length} more symbols than Node needs, such as ${shown.slice(0, 3).join(", ")}`);
  if (bytes > promise.maxBytes) faults.push(`has ${bytes} bytes, and ${promise.maxBytes} are promised at most`);
  if (sections.includes(".symtab")) faults.push("is not stripped");
  const limit = glibcLimit ?? promise.glibc;
  if (glibc !== undefined && limit !== undefined && isNewer(glibc, limit)) faults.push(`needs glibc ${glibc}, and ${limit} is promised`);
  if (platform === "linux-x64-gnu" && !sections.includes(".nv_fatbin")) faults.push("holds no CUDA kernels: it was built without nvcc");
  return { platform, bytes, libraries, glibc, faults };
}

function linux(file) {
  const header = tool("objdump", ["-p", file]);
  const dynamic = tool("objdump", ["-T", file]).split("\n");
  const versions = [...header.matchAll(/\bGLIBC_(\d+(?:\.\d+)+)\b/g)].map((match) => match[1]);
  return {
    libraries: [...header.matchAll(/^\s*NEEDED\s+(\S+)/gm)].map((match) => match[1]),
    symbols: dynamic.filter((line) => /^[0-9a-f]+ .*\s(?!\*UND\*)\S+\s+[0-9a-f]{8,}\s/.test(line) && !line.includes("*UND*")).map(lastWord),
    glibc: versions.reduce((newest, version) => (isNewer(version, newest) ? version : newest), "0"),
    sections: [...tool("objdump", ["-h", file]).matchAll(/^\s*\d+\s+(\S+)/gm)]
      .map((match) => match[1])
      .concat(hasSymbols(file) ? [".symtab"] : []),
  };
}

function hasSymbols(file) {
  return !/no symbols/.test(tool("objdump", ["-t", file]));
}

function darwin(file) {
  return {
    libraries: tool("otool", ["-L", file])
      .trim()
      .split("\n")
      .slice(1)
      .map((line) => line.trim().split(" ")[0])
      .filter((name) => !name.endsWith(".node")),
    symbols: tool("nm", ["-gU", file])
      .trim()
      .split("\n")
      .map(lastWord)
      .map((name) => name.replace(/^_/, "")),
    sections: [],
  };
}

function win32(file) {
  const names = (output, pattern) => [...output.matchAll(pattern)].map((match) => match[1]);
  return {
    libraries: names(tool("dumpbin", ["/nologo", "/dependents", file]), /^ {4}(\S+\.(?:dll|exe))\s*$/gim),
    symbols: names(tool("dumpbin", ["/nologo", "/exports", file]), /^\s+\d+\s+[0-9A-F]+\s+[0-9A-F]{8}\s+(\S+)/gim),
    sections: [],
  };
}

const lastWord = (line) => line.trim().split(/\s+/).at(-1);

function isNewer(version, than) {
  const [a, b] = [version, than].map((text) => text.split(".").map(Number));
  return a[0] !== b[0] ? a[0] > b[0] : (a[1] ?? 0) > (b[1] ?? 0);
}

function tool(name, args) {
  const result = spawnSync(name, args, { encoding: "utf8", maxBuffer: 1 << 28 });
  if (result.error !== undefined) throw new SetupError(`${name} is needed to check a binary and cannot be run: ${result.error.message}`);
  if (result.status !== 0) throw new SetupError(`${name} cannot read the file: ${result.stderr.trim()}`);
  return result.stdout + result.stderr;
}

/** The glibc of this machine, for binaries that are not to be published. */
export function hostGlibc() {
  return process.report.getReport().header.glibcVersionRuntime;
}

/** Prints what was found; @throws SetupError when a promise is not kept */
export function checkBinary(file, platform, glibcLimit) {
  const { bytes, libraries, glibc, faults } = inspectBinary(file, platform, glibcLimit);
  const needs = [...(glibc === undefined ? [] : [`glibc ${glibc}`]), ...libraries].join(", ");
  console.log(`${file}\n  ${platform}, ${bytes} bytes (${(bytes / 2 ** 20).toFixed(2)} MiB), needs ${needs}`);
  if (faults.length > 0) throw new SetupError(faults.map((fault) => `${file} ${fault}`).join("\n"));
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const args = process.argv.slice(2);
  const at = args.indexOf("--glibc");
  const limit = at < 0 ? undefined : args.splice(at, 2)[1];
  await reportingErrors(() => {
    if (args.length === 0) throw new SetupError("usage: node scripts/check-binary.mjs FILE [PLATFORM] [--glibc VERSION|host]");
    checkBinary(args[0], args[1] ?? thisPlatform(), limit === "host" ? hostGlibc() : limit);
  });
}
