import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["src/**/*.test.ts", "test/**/*.test.ts"],
    // Two files at a time: the engine brings its own threads, and the machines that run this have two cores.
    maxWorkers: 2,
    pool: "forks",
    globalSetup: "test/support/temporary.ts",
    // Whole-program tests take seconds, on a busy machine minutes.
    testTimeout: 300_000,
    hookTimeout: 300_000,
  },
});
