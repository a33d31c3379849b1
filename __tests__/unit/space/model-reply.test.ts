import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { projectFolder } from "../../../src/cli/paths.ts";

// model_reply.js in a stand-in for marimo's page. __tests__/browser/ai.test.ts has a real one.
const script = readFileSync(
  join(projectFolder, "src/space/payload/python/sagemaker_marimo/model_reply.js"),
  "utf8",
);

/** Asks for a reply whose pieces are `answers`. */
async function ask(answers: Response[]) {
  const asked: string[] = [];
  const names = new Set<unknown>();
  const outage = {
    send: async (_: string, { body, headers }: { body: string; headers: Headers }) => {
      asked.push(`${headers.get("Marimo-Reply-After")} ${body}`);
      names.add(headers.get("Marimo-Reply"));
      return answers.shift();
    },
  };
  const modelReply = new Function("outage", `${script}; return modelReply;`)(outage);
  const request = new Request("https://space.example/marimo/api/ai/chat", {
    method: "POST",
    body: "question",
  });
  const response: Response = await modelReply.inPieces(request);
  const text = await response.text();
  return { text, status: response.status, asked, names: names.size };
}
const more = (text: string, status = 200) =>
  new Response(text, { status, headers: { "Marimo-Reply": "more" } });

it("joins the pieces, also after silence, and asks the model once", async () => {
  const answers = [more("", 202), more("data: 1"), more(""), more("\n\n"), new Response("data: 2\n\n")];
  expect(await ask(answers)).toEqual({
    text: "data: 1\n\ndata: 2\n\n",
    status: 200,
    asked: ["0 question", "0 question", "7 ", "7 ", "9 "],
    names: 1,
  });
});

it("passes an error on", async () => {
  const answer = new Response('{"detail": "no"}', { status: 500 });
  expect(await ask([answer])).toMatchObject({ text: '{"detail": "no"}', status: 500, asked: ["0 question"] });
});
