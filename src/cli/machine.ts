/**
 * What siri doctor tells of the machine: system, processor, memory, GPUs, and what of it will make training slow. Reads what the system
 * shows; knows nothing of the engine.
 */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { availableParallelism, cpus, freemem, loadavg, release, totalmem } from "node:os";

/** Instruction sets that the kernels of the engine are compiled for, or that would matter, by the names of Linux. */
const FEATURES = ["avx2", "fma", "avx512f", "avx512vl", "avx512bw", "avx512dq", "avx512_bf16", "asimd", "bf16", "sve"];

/** Facts by name, in the order in which they are shown. */
export function machineFacts(): Record<"node" | "processor" | "memory" | "gpu", string> {
  const known = processorFeatures();
  const limit = memoryLimit();
  const quota = processorQuota();
  return {
    node: `${process.versions.node} (${process.platform} ${process.arch}, ${release()}${cLibrary()})`,
    processor: `${cpus()[0]?.model.trim() ?? "unknown"}, ${availableParallelism()} usable cores${quota === undefined ? "" : `, limited to the time of ${quota}`}${known === undefined ? "" : `, ${known.join(" ")}`}`,
    memory: `${gib(totalmem())}, ${gib(freemem())} free${limit === undefined ? "" : `, limited to ${gib(limit)}`}`,
    gpu: gpus(),
  };
}

/** What the engine was opened with. */
export interface EngineFacts {
  readonly isa: string;
  readonly threads: number;
}

/** What will be slow here and why, a sentence each. */
export function slowness(engine: EngineFacts | undefined): string[] {
  const found: string[] = [];
  const features = processorFeatures();
  const cores = availableParallelism();
  if (process.arch === "x64" && features !== undefined && !(features.includes("avx2") && features.includes("fma")))
    found.push("everything: this processor has no AVX2, so that the portable kernels compute");
  else if (engine?.isa === "portable" && process.arch === "x64") found.push("everything: SIRI_ISA asks for the portable kernels");
  if (features !== undefined && !features.includes("avx512_bf16"))
    found.push("model.dtype bfloat16: it saves memory but no time on a processor without AVX-512 bfloat16");
  if (engine !== undefined && engine.threads < cores) found.push(`the engine: SIRI_THREADS gives it ${engine.threads} of ${cores} cores`);
  const quota = processorQuota();
  if (quota !== undefined && quota < cores)
    found.push(
      `the engine: its ${cores} threads share the time of ${quota} cores (a container's limit); SIRI_THREADS=${Math.max(1, Math.floor(quota))} suits that`,
    );
  const load = loadavg()[0] ?? 0;
  if (load > cores + 0.5)
    found.push(`everything: ${load.toFixed(1)} threads wanted to run in the last minute, and there are ${cores} cores`);
  const free = Math.min(freemem(), (memoryLimit() ?? Number.POSITIVE_INFINITY) - process.memoryUsage.rss());
  if (free < 2 ** 30) found.push(`large models: ${gib(free)} of memory are free, and what does not fit is swapped or refused`);
  return found;
}

function gib(bytes: number): string {
  return `${(bytes / 2 ** 30).toFixed(1)} GiB`;
}

/** ", glibc 2.36" where that is the C library. */
function cLibrary(): string {
  if (process.platform !== "linux") return "";
  const report = process.report as NodeJS.ProcessReport & { excludeNetwork?: boolean };
  report.excludeNetwork = true; // else it asks for the names of all peers
  const { header } = report.getReport() as unknown as { header: { glibcVersionRuntime?: string } };
  return header.glibcVersionRuntime === undefined ? ", no glibc" : `, glibc ${header.glibcVersionRuntime}`;
}

/** As the kernel lists them; undefined where it does not. */
function processorFeatures(): string[] | undefined {
  const text = readQuietly("/proc/cpuinfo");
  if (text === undefined) return undefined;
  const flags = new Set((/^(?:flags|Features)\s*:\s*(.*)$/m.exec(text)?.[1] ?? "").split(" "));
  return FEATURES.filter((flag) => flags.has(flag));
}

/** Bytes that this process and its like may use, where that is less than there are. */
function memoryLimit(): number | undefined {
  const limit = process.constrainedMemory(); // 0 or a huge number where no limit is set
  return limit > 0 && limit < totalmem() ? limit : undefined;
}

/** Cores whose time a control group may use, where it is limited (Linux, cgroup 2 or 1). */
function processorQuota(): number | undefined {
  const [quota, period] = readQuietly("/sys/fs/cgroup/cpu.max")?.trim().split(" ") ?? [
    readQuietly("/sys/fs/cgroup/cpu/cpu.cfs_quota_us"),
    readQuietly("/sys/fs/cgroup/cpu/cpu.cfs_period_us"),
  ];
  const cores = Number(quota) / Number(period);
  return Number.isFinite(cores) && cores > 0 ? Math.round(cores * 100) / 100 : undefined;
}

/** NVIDIA's devices and driver, as the driver's own program lists them. */
function gpus(): string {
  const query = ["--query-gpu=name,compute_cap,memory.total,memory.free,driver_version", "--format=csv,noheader"];
  const { stdout, status, error } = spawnSync("nvidia-smi", query, { encoding: "utf8", timeout: 20_000, windowsHide: true });
  if (error !== undefined) return "none found (no nvidia-smi, so no NVIDIA driver)";
  const devices = stdout
    .trim()
    .split("\n")
    .filter((line) => line !== "");
  if (status !== 0 || devices.length === 0) return `none found (nvidia-smi says: ${devices[0] ?? `exit code ${status}`})`;
  const described = devices.map((line) => {
    const [name, capability, total, free, driver] = line.split(",").map((field) => field.trim());
    return `${name}, sm_${capability?.replace(".", "")}, ${total}, ${free} free, driver ${driver}`;
  });
  return described.join("; ");
}

function readQuietly(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}
