import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { projectFolder } from "../../../src/cli/paths.ts";

// outage.js in a stand-in for marimo's page. __tests__/browser/absence.test.ts has a real one.
const script = readFileSync(
  join(projectFolder, "src/space/payload/python/sagemaker_marimo/outage.js"),
  "utf8",
);
const home = "https://space.example/marimo/";
const page = (token: string) => `<marimo-server-token data-token="${token}" hidden></marimo-server-token>`;
const waitingPage = "<title>marimo is starting</title>";

interface Outage {
  send(input: string, init: RequestInit): Promise<Response>;
  began(status?: number): void;
  ended(): void;
  missedEvents(): void;
}

/** What arrived at the server: the last part of each path, its body and its token. */
let arrived: string[];
let pagesAsked: number;
let answerPage: () => string;
let answer: (token: string, body: string) => Response | Promise<Response>;
let reload: () => void;
let outage: Outage;

beforeEach(() => {
  vi.useFakeTimers();
  arrived = [];
  pagesAsked = 0;
  answerPage = () => page("new");
  answer = (token) => new Response("", { status: token === "new" ? 200 : 401 });
  const fetch = async (input: Request | string) => {
    if (typeof input === "string") {
      pagesAsked++;
      return new Response(answerPage());
    }
    const [token, body] = [input.headers.get("Marimo-Server-Token") ?? "", await input.text()];
    arrived.push(`${input.url.split("/").at(-1)} ${body} ${token}`);
    return await answer(token, body);
  };
  const element = { style: {}, append() {}, setAttribute() {}, addEventListener() {}, remove() {} };
  const document = { getElementById: () => null, createElement: () => element };
  reload = vi.fn();
  const make = new Function("window", "document", "location", `${script}; return outage;`);
  outage = make({ fetch, dispatchEvent() {} }, document, { href: home, reload });
});
afterEach(() => vi.useRealTimers());

function post(path: string, body = "{}"): { status?: number; error?: unknown } {
  const outcome: { status?: number; error?: unknown } = {};
  const headers = { "Marimo-Server-Token": "old" };
  outage.send(`${home}api/${path}`, { method: "POST", headers, body }).then(
    ({ status }) => Object.assign(outcome, { status }),
    (error) => Object.assign(outcome, { error }),
  );
  return outcome;
}
const pass = (seconds: number) => vi.advanceTimersByTimeAsync(seconds * 1000);

it.each([
  ["the waiting page", () => waitingPage],
  [
    "no connection",
    () => {
      throw new TypeError("Failed to fetch");
    },
  ],
])("sends requests after a restart, at first with %s in place of marimo's page", async (_, answerNow) => {
  answerPage = answerNow;
  const save = post("kernel/save");
  const run = post("kernel/run");
  await pass(60);
  expect([save, run]).toEqual([{}, {}]);
  expect(arrived).toEqual(["run {} old", "save {} old"]);
  expect(pagesAsked).toBeLessThan(15);
  answerPage = () => page("new");
  await pass(10);
  expect([save, run]).toEqual([{ status: 200 }, { status: 200 }]);
  expect(arrived.slice(2).sort()).toEqual(["run {} new", "save {} new"]);
});

it("sends a request again after each of two restarts", async () => {
  answer = (token) => new Response("", { status: token === "newer" ? 200 : 401 });
  const tokens = ["new", "newer"];
  answerPage = () => page(tokens.shift() ?? "newer");
  const save = post("kernel/save");
  await pass(1);
  expect(save).toEqual({ status: 200 });
  expect(arrived).toEqual(["save {} old", "save {} new", "save {} newer"]);
});

it("passes on a 401 that has another reason (control)", async () => {
  answer = () => new Response("", { status: 401 });
  const save = post("kernel/save");
  await pass(1);
  expect(save).toEqual({ status: 401 });
  expect(arrived).toEqual(["save {} old", "save {} new"]);
});

it("keeps the order of values that wait for the token", async () => {
  answerPage = () => waitingPage;
  const accepted: string[] = [];
  answer = async (token, value) => {
    if (token === "old") return new Response("", { status: 401 });
    await new Promise((done) => setTimeout(done, value === "1" ? 500 : 10));
    accepted.push(value);
    return new Response("");
  };
  const values = ["1", "2", "3"].map((value) => post("kernel/set_ui_element_value", value));
  await pass(60);
  answerPage = () => page("new");
  await pass(10);
  expect(values.map(({ status }) => status)).toEqual([200, 200, 200]);
  expect(accepted).toEqual(["1", "2", "3"]);
});

it("lets a value pass one that has had no answer for a time (control)", async () => {
  answer = (_, body) => (body === "1" ? new Promise(() => {}) : new Response(""));
  post("kernel/set_ui_element_value", "1");
  const second = post("kernel/set_ui_element_value", "2");
  await pass(8);
  expect(second).toEqual({});
  await pass(2);
  expect(second).toEqual({ status: 200 });
});

it("reloads a page that has missed events after the edits that wait for their turn", async () => {
  let release = (_: Response) => {};
  const released = new Promise<Response>((resolve) => {
    release = resolve;
  });
  answer = (_, body) => (body === "first" ? released : new Response(""));
  post("kernel/set_ui_element_value", "first");
  const edit = post("document/transaction", "second");
  outage.missedEvents();
  outage.ended();
  await pass(7);
  expect(reload).not.toHaveBeenCalled();
  release(new Response(""));
  await pass(1);
  expect(edit).toEqual({ status: 200 });
  expect(reload).not.toHaveBeenCalled();
  await pass(5);
  expect(reload).toHaveBeenCalledOnce();
});

it("reloads a page without edits at once (control)", async () => {
  outage.missedEvents();
  outage.ended();
  await pass(5);
  expect(reload).toHaveBeenCalledOnce();
});
