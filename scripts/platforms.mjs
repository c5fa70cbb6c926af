// What is promised of each prebuilt engine. The names are npm's for the system and the processor, as src/native/places.ts looks for them.
export const PLATFORMS = {
  "linux-x64-gnu": {
    rust: "x86_64-unknown-linux-gnu",
    glibc: "2.28",
    maxBytes: 6 * 2 ** 20,
    holds: "CPU (portable, AVX2, AVX-512, AVX-512 bfloat16) and CUDA",
  },
  "linux-arm64-gnu": { rust: "aarch64-unknown-linux-gnu", glibc: "2.28", maxBytes: 3 * 2 ** 20, holds: "CPU" },
  "darwin-arm64": { rust: "aarch64-apple-darwin", maxBytes: 3 * 2 ** 20, holds: "CPU" },
  "win32-x64-msvc": { rust: "x86_64-pc-windows-msvc", maxBytes: 3 * 2 ** 20, holds: "CPU (portable, AVX2, AVX-512, AVX-512 bfloat16)" },
};

/** The platform of this machine, as far as engines are built for it. */
export function thisPlatform() {
  const suffix = { linux: "-gnu", win32: "-msvc" }[process.platform] ?? "";
  return `${process.platform}-${process.arch}${suffix}`;
}

/** Name of the file in the platform's package, and in a folder of artifacts. */
export const binaryName = (platform) => `siri.${platform}.node`;
