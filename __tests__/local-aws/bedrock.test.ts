import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { workFolder } from "../../src/cli/paths.ts";
import { capture } from "../../src/cli/processes.ts";
import { pythonEnvironment } from "../../src/cli/python/python-environment.ts";
import { type LocalAws, startLocalAws } from "../../src/local-studio/local-aws.ts";

/** Prints what boto3, which checks each event's checksum, understands: the time of each event, and the reply. */
const ask = `
import json, sys, time
import boto3
request = json.loads(sys.argv[2])
stream = request.pop("stream", False)
client = boto3.client("bedrock-runtime", region_name="us-east-1", endpoint_url=sys.argv[1])
try:
    if stream:
        began = time.monotonic()
        print(json.dumps([[time.monotonic() - began, e] for e in client.converse_stream(**request)["stream"]]))
    else:
        print(json.dumps(client.converse(**request)["output"]["message"]["content"]))
except client.exceptions.ClientError as error:
    print(json.dumps(error.response["Error"]))
`;

let folder: string;
let localAws: LocalAws;
let python: string;
beforeAll(async () => {
  mkdirSync(workFolder, { recursive: true });
  folder = mkdtempSync(join(workFolder, "test-bedrock-"));
  ({ python } = await pythonEnvironment("aws"));
  localAws = await startLocalAws({ python, log: join(folder, "local-aws.log") });
});
afterAll(async () => {
  await localAws?.stop();
  rmSync(folder, { recursive: true, force: true });
});

const modelId = "amazon.nova-lite-v1:0";
const says = (text: string) => [{ role: "user", content: [{ text }] }];
async function converse(request: object): Promise<unknown> {
  const env = { ...process.env, ...localAws.environment };
  const result = await capture(python, ["-c", ask, localAws.endpoint, JSON.stringify(request)], { env });
  if (result?.status !== 0) throw new Error(result?.stderr);
  return JSON.parse(result.stdout);
}

describe("the stand-in for Bedrock", () => {
  it("repeats what was asked", async () => {
    expect(await converse({ modelId, messages: says("how are you") })).toEqual([
      { text: "Hello from the stand-in for Bedrock. You said: how are you" },
    ]);
  });

  it("streams it in parts, with pauses", async () => {
    const events = (await converse({ modelId, messages: says("how are you"), stream: true })) as [
      number,
      object,
    ][];
    const parts = events.flatMap(([at, event]) => {
      const { contentBlockDelta } = event as { contentBlockDelta?: { delta: { text: string } } };
      return contentBlockDelta === undefined ? [] : [{ at, text: contentBlockDelta.delta.text }];
    });
    expect(parts.map(({ text }) => text).join("")).toContain("You said: how are you");
    expect(parts.length).toBeGreaterThan(3);
    expect((parts.at(-1)?.at ?? 0) - (parts[0]?.at ?? 0)).toBeGreaterThan(0.5);
    expect(Object.keys(events.at(-1)?.[1] ?? {})).toEqual(["metadata"]);
  });

  it("answers in the wanted form, by a tool or as JSON", async () => {
    const schema = {
      type: "object",
      properties: { code: { type: "string" }, more: { type: "array", items: {} } },
    };
    const toolSpec = { name: "final_result", inputSchema: { json: schema } };
    const value = { code: "answer_of_bedrock = 42", more: ["answer_of_bedrock = 42"] };
    expect(await converse({ modelId, messages: says("x"), toolConfig: { tools: [{ toolSpec }] } })).toEqual([
      { toolUse: { toolUseId: "tooluse_1", name: "final_result", input: value } },
    ]);
    const structure = { jsonSchema: { schema: JSON.stringify(schema) } };
    const outputConfig = { textFormat: { type: "json_schema", structure } };
    const [{ text }] = (await converse({ modelId, messages: says("x"), outputConfig })) as [{ text: string }];
    expect(JSON.parse(text)).toEqual(value);
  });

  it("rejects what the service model rejects, and what a fault rule names", async () => {
    const messages = [{ role: "robot", content: [{ text: "x" }] }];
    expect(await converse({ modelId, messages })).toMatchObject({
      Code: "ValidationException",
      Message: expect.stringContaining("'messages.1.member.role'"),
    });
    await localAws.setFaults([{ operation: "bedrock-runtime:Converse*", fault: "access-denied", count: 1 }]);
    expect(await converse({ modelId, messages: says("x") })).toMatchObject({ Code: "AccessDeniedException" });
    expect(await converse({ modelId, messages: says("x") })).toMatchObject([{ text: expect.any(String) }]);
  });
});
