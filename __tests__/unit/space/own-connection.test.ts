import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { projectFolder } from "../../../src/cli/paths.ts";

// own_connection.js in a stand-in for marimo's page. __tests__/browser/newer-proxy.test.ts has a real one.
const script = readFileSync(
  join(projectFolder, "src/space/payload/python/sagemaker_marimo/own_connection.js"),
  "utf8",
);

interface PageProps {
  readonly search?: string;
  readonly isMarimos?: boolean;
  readonly status?: number;
}

/** Opens a page. `use` is what it does at once. */
async function open(props: PageProps, use: (ownConnection: { isReplaced(): void }) => void = () => {}) {
  const { search = "?file=daily.py", isMarimos = true, status = 200 } = props;
  const fetch = vi.fn(async () => new Response("a notice", { status }));
  const body = { insertAdjacentHTML: vi.fn() };
  const document = { querySelector: () => (isMarimos ? {} : null), body };
  const location = { href: `https://space.example/marimo/${search}`, search };
  const loaded: (() => void)[] = [];
  const addEventListener = (_: string, listener: () => void) => loaded.push(listener);
  const make = new Function(
    ...["window", "document", "location", "addEventListener"],
    `${script}; return ownConnection;`,
  );
  const ownConnection = make({ fetch }, document, location, addEventListener);
  for (const listener of loaded) listener();
  use(ownConnection);
  await vi.advanceTimersByTimeAsync(60_000);
  return { reports: fetch.mock.calls.map(String), notices: body.insertAdjacentHTML.mock.calls.map(String) };
}

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => vi.useRealTimers());

it("reports a notebook's page without a stream, and shows the answer", async () => {
  expect(await open({})).toEqual({
    reports: ["https://space.example/marimo/sse,[object Object]"],
    notices: ["beforeend,a notice"],
  });
});

it("shows nothing if marimo is not running", async () => {
  expect((await open({ status: 503 })).notices).toEqual([]);
});

it.each([
  ["a page that opens its stream", {}, true],
  ["marimo's home page", { search: "" }, false],
  ["an answer that is not marimo's page", { isMarimos: false }, false],
])("does not report %s (control)", async (_, props, opens) => {
  const page = await open(props, (ownConnection) => opens && ownConnection.isReplaced());
  expect(page).toEqual({ reports: [], notices: [] });
});
