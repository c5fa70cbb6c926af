/** Everything that tests put into the folder for temporary files lies in one folder of this run, which is removed at the end. */
import { mkdtempSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export default function setup(): () => void {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), "siri-tests-")));
  // os.tmpdir() of the workers: the first on POSIX, the others on Windows.
  for (const name of ["TMPDIR", "TEMP", "TMP"]) process.env[name] = folder;
  return () => rmSync(folder, { recursive: true, force: true });
}
