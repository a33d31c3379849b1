import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Background } from "../../../src/local-studio/background.ts";

const unhandled: unknown[] = [];
const record = (reason: unknown) => void unhandled.push(reason);
beforeEach(() => void process.on("unhandledRejection", record));
afterEach(() => {
  process.off("unhandledRejection", record);
  unhandled.length = 0;
});

/** Ends `after` milliseconds after the signal is aborted. */
function work(signal: AbortSignal, ended: string[], after = 20): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener("abort", async () => {
      await sleep(after);
      ended.push("ended");
      reject(signal.reason);
    });
  });
}

describe("Background", () => {
  it("reports a failure to the step that waits for it, even if the step starts later", async () => {
    const background = new Background(undefined);
    const failing = background.run(Promise.reject(new Error("no package index")));
    await sleep(10);
    expect(unhandled).toEqual([]);
    await expect(failing).rejects.toThrow("no package index");
  });

  it("aborts the work when a step fails, and waits until it has ended", async () => {
    const background = new Background(undefined);
    const ended: string[] = [];
    void background.run(work(background.signal, ended)).catch(() => {});
    await background.end();
    expect(ended).toEqual(["ended"]);
  });

  it("aborts the work on an interrupt", async () => {
    const interrupted = new AbortController();
    const background = new Background(interrupted.signal);
    const ended: string[] = [];
    const working = background.run(work(background.signal, ended));
    interrupted.abort();
    await expect(working).rejects.toThrow("aborted");
    expect(ended).toEqual(["ended"]);
  });
});
