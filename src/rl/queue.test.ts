import { describe, expect, it } from "vitest";
import { MemoryQueue } from "./queue.js";

const job = (member: number, group = 0) => ({ iteration: 1, group, member });

function queue(options: { retries?: number; lease?: number; now?: () => number } = {}) {
  return new MemoryQueue<{ iteration: number; group: number; member: number }, string>({
    retries: options.retries ?? 1,
    leaseMilliseconds: options.lease ?? 1000,
    ...(options.now ? { now: options.now } : {}),
  });
}

describe("MemoryQueue", () => {
  it("hands out jobs in order of publication and sorts results by name", async () => {
    const q = queue();
    await q.publish([job(1, 1), job(0, 1), job(1), job(0)]);
    const leases = [await q.lease(), await q.lease(), await q.lease(), await q.lease()];
    expect(leases.map((lease) => [lease!.job.group, lease!.job.member])).toEqual([
      [1, 1],
      [1, 0],
      [0, 1],
      [0, 0],
    ]);
    expect(await q.lease()).toBeNull();
    for (const lease of leases) await q.complete(lease!, `${lease!.job.group}${lease!.job.member}`);
    expect(q.results()).toEqual(["00", "01", "10", "11"]);
  });

  it("ignores a job that is published twice", async () => {
    const q = queue();
    await q.publish([job(0)]);
    await q.publish([job(0), job(1)]);
    expect(q.size).toBe(2);
  });

  it("keeps the first result of a name", async () => {
    const q = queue();
    await q.publish([job(0)]);
    const lease = (await q.lease())!;
    expect(await q.complete(lease, "first")).toBe(true);
    expect(await q.complete(lease, "second")).toBe(false);
    expect(q.results()).toEqual(["first"]);
  });

  it("offers a failed job again until its attempts are used up", async () => {
    const q = queue({ retries: 1 });
    await q.publish([job(0)]);
    await q.fail((await q.lease())!, new Error("once"));
    const second = (await q.lease())!;
    expect(second.attempt).toBe(1);
    await expect(q.fail(second, new Error("door stuck"))).rejects.toMatchObject({
      code: "ROLLOUT_FAILED",
      message: expect.stringMatching(/group 0, member 0.*failed 2 times.*door stuck.*rollout.retries/s),
    });
  });

  it("gives a job whose lease ran out to another worker; the late one neither renews nor fails it", async () => {
    let now = 0;
    const q = queue({ lease: 100, now: () => now });
    await q.publish([job(0)]);
    const slow = (await q.lease())!;
    now = 60;
    expect(await q.renew(slow)).toBe(true);
    now = 150;
    expect(await q.lease()).toBeNull();
    now = 161;
    const quick = (await q.lease())!;
    expect(quick.job).toEqual(slow.job);
    expect(await q.renew(slow)).toBe(false);
    await q.fail(slow, new Error("late"));
    expect(await q.renew(quick)).toBe(true);
    await q.complete(slow, "same by the seeds");
    expect(await q.complete(quick, "same by the seeds")).toBe(false);
    expect(q.results()).toEqual(["same by the seeds"]);
  });

  it("refuses results before all are there, and jobs it never saw", async () => {
    const q = queue();
    await q.publish([job(0)]);
    expect(() => q.results()).toThrow(expect.objectContaining({ code: "ROLLOUT_INCOMPLETE" }));
    await expect(q.renew({ job: job(5), attempt: 0, token: 1 })).rejects.toMatchObject({ code: "ROLLOUT_UNKNOWN" });
  });
});
