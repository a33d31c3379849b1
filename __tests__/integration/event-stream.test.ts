import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { projectFolder } from "../../src/local-studio/paths.ts";
import { capture } from "../../src/local-studio/processes.ts";
import { pythonEnvironment } from "../../src/local-studio/python-environment.ts";
import { payloadFolder } from "./space-fixture.ts";

describe("the stream of marimo's events behind a page", () => {
  it.each([
    "numbers_and_replays",
    "is_bounded",
    "lets_go",
    "loses_patience",
    "has_one_reader",
    "tells_of_refusals_and_ends",
  ])("%s", async (check) => {
    const { python } = await pythonEnvironment("image");
    const program = join(projectFolder, "__tests__/integration/event_stream_checks.py");
    const env = { PATH: process.env.PATH, HOME: "/nonexistent", PYTHONPATH: join(payloadFolder, "python") };
    const result = await capture(python, ["-B", program, check], { env, timeout: 60_000 });
    expect(result?.status, result?.stderr).toBe(0);
  });
});
