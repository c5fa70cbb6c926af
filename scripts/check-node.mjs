// Imported first, and written so that a Node far too old still reads it: no imports, nothing new.
var wanted = [20, 17];
var version = process.versions.node.split(".").map(Number);
if (version[0] < wanted[0] || (version[0] === wanted[0] && version[1] < wanted[1])) {
  console.error(
    "siri-rl needs Node.js " +
      wanted.join(".") +
      " or newer, this is " +
      process.versions.node +
      ": install a current one from https://nodejs.org.",
  );
  process.exit(1);
}
