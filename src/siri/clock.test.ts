import { expect, it } from "vitest";
import { Clock } from "./clock.js";

it("tells work on the main thread from waiting", async () => {
  await new Promise((done) => setTimeout(done, 5)); // the event loop turns
  const clock = new Clock();
  await new Promise((done) => setTimeout(done, 200));
  clock.lap("waiting");
  for (const end = performance.now() + 200; performance.now() < end; );
  clock.lap("work");
  expect(clock.seconds.waiting).toBeGreaterThan(0.19);
  expect(clock.mainThread.waiting! / clock.seconds.waiting!).toBeLessThan(0.5);
  expect(clock.mainThread.work! / clock.seconds.work!).toBeGreaterThan(0.9);
  expect(clock.total()).toBeGreaterThan(0.39);
});
