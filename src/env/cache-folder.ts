import { homedir } from "node:os";
import { join } from "node:path";

/** Folder for what can be made again, of one environment: XDG_CACHE_HOME or the system's own place. It may not be there yet. */
export function cacheFolder(environment: string): string {
  const { XDG_CACHE_HOME, LOCALAPPDATA } = process.env;
  const local =
    process.platform === "win32" ? LOCALAPPDATA : process.platform === "darwin" ? join(homedir(), "Library", "Caches") : undefined;
  return join(XDG_CACHE_HOME || local || join(homedir(), ".cache"), "siri-rl", environment);
}
