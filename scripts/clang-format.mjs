// Formats the C++ sources, or says which ones are not formatted:  node scripts/clang-format.mjs --write | --check
import { spawnSync } from "node:child_process";
import { accessSync, chmodSync, constants, readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const mode = process.argv[2];
if (mode !== "--write" && mode !== "--check") {
  console.error("usage: node scripts/clang-format.mjs --write | --check");
  process.exit(2);
}
const { clangFormatPath } = createRequire(import.meta.url)("clang-format-node");
try {
  accessSync(clangFormatPath, constants.X_OK);
} catch {
  chmodSync(clangFormatPath, 0o755); // npm may have skipped the package's own install script, which does this
}
const files = ["native", "cuda", "bench"].flatMap((folder) => sources(join(root, folder)));
const flags = mode === "--write" ? ["-i"] : ["--dry-run", "--Werror"];
const result = spawnSync(clangFormatPath, [...flags, ...files], { cwd: root, stdio: "inherit" });
if (result.error !== undefined) console.error(`clang-format cannot be run: ${result.error.message}`);
process.exit(result.status ?? 1);

function sources(folder) {
  try {
    return readdirSync(folder, { withFileTypes: true, recursive: true })
      .filter((entry) => entry.isFile() && /\.(cpp|h|inl|cu|cuh)$/.test(entry.name))
      .map((entry) => join(entry.parentPath, entry.name));
  } catch {
    return [];
  }
}
