import { describe, expect, it } from "vitest";
import { findMoves, moveAll } from "../../../src/move-data/move.ts";
import { type Owners, targetOf } from "../../../src/move-data/target.ts";

const owners: Owners = {
  prefix: "marimo-dev",
  users: ["ana", "bo"],
  sweeps: new Map([["grid-261124173000-ab12", "marimo-dev-ana"]]),
  isExistingBucket: false,
};

describe("where an object of an older deployment belongs", () => {
  it.each([
    ["marimo/jobs/marimo-dev-ana-x-1/page.html", "people/ana/jobs/marimo-dev-ana-x-1/page.html"],
    ["marimo/jobs/marimo-dev-bob-x-1/page.html", "shared/jobs/marimo-dev-bob-x-1/page.html"],
    ["marimo/jobs/marimo-prod-ana-x-1/page.html", "shared/jobs/marimo-prod-ana-x-1/page.html"],
    [
      "marimo/jobs/grid-261124173000-ab12/rows/1/page.html",
      "people/ana/sweeps/grid-261124173000-ab12/rows/1/page.html",
    ],
    ["marimo/job-sources/0123/x.py", "shared/job-sources/0123/x.py"],
    ["data/prices.csv", "shared/data/prices.csv"],
    ["marimo/payload/current", undefined],
    ["marimo/wheels/0123/x.whl", undefined],
    ["people/ana/x", undefined],
    ["shared/x", undefined],
  ])("%s: %s", (key, target) => {
    expect(targetOf(key, owners)).toBe(target);
  });

  it("is its place in an existing bucket, unless marimo-job wrote it", () => {
    const existing = { ...owners, isExistingBucket: true };
    expect(targetOf("data/prices.csv", existing)).toBeUndefined();
    expect(targetOf("marimo/jobs/marimo-dev-bo-x/a", existing)).toBe("people/bo/jobs/marimo-dev-bo-x/a");
  });
});

/** A bucket in memory, with the commands that the moves send. */
function bucketWith(objects: Record<string, string>) {
  const sent: string[] = [];
  const missing = () => Object.assign(new Error("none"), { name: "NotFound" });
  const broken = new Set<string>();
  const send = async (command: { constructor: { name: string }; input: Record<string, string> }) => {
    const { CopySource = "", Key = "", Prefix = "" } = command.input;
    sent.push(`${command.constructor.name} ${Key}`);
    const text = objects[Key];
    switch (command.constructor.name) {
      case "ListObjectsV2Command":
        return {
          Contents: Object.entries(objects)
            .filter(([key]) => key.startsWith(Prefix))
            .map(([key, body]) => ({ Key: key, Size: body.length })),
        };
      case "GetObjectCommand":
        return { Body: { transformToString: async () => text } };
      case "HeadObjectCommand":
        if (text === undefined) throw missing();
        return { ContentLength: text.length, ChecksumSHA256: text, ServerSideEncryption: "aws:kms" };
      case "CopyObjectCommand": {
        expect(command.input.ServerSideEncryption).toBe("aws:kms");
        const from = decodeURIComponent(CopySource.replace(/^b\//, ""));
        objects[Key] = broken.has(Key) ? "broken" : (objects[from] ?? "");
        return {};
      }
      case "DeleteObjectCommand":
        delete objects[Key];
        return {};
      default:
        throw new Error(command.constructor.name);
    }
  };
  // biome-ignore lint/suspicious/noExplicitAny: a stand-in for the client
  return { place: { bucket: "b", s3: { send } as any }, objects, sent, broken };
}

const { sweeps: _, ...users } = owners;
const files = () => ({
  "marimo/jobs/marimo-dev-ana-x-1/a file.html": "page",
  "marimo/jobs/g-261124173000-ab12/sweep.json": '{"prefix": "marimo-dev-bo"}',
  "data.csv": "data",
  "marimo/payload/current": "x",
});
const moved = {
  "people/ana/jobs/marimo-dev-ana-x-1/a file.html": "page",
  "people/bo/sweeps/g-261124173000-ab12/sweep.json": '{"prefix": "marimo-dev-bo"}',
  "shared/data.csv": "data",
  "marimo/payload/current": "x",
};
const quiet = () => undefined;

// The paginator of the SDK accepts only its own client, so the list is made from a class of that name.
const { S3Client } = await import("@aws-sdk/client-s3");
const asClient = <T extends ReturnType<typeof bucketWith>>(made: T): T => {
  Object.setPrototypeOf(made.place.s3, S3Client.prototype);
  return made;
};

describe("the move", () => {
  it("deletes originals only after all copies, and a second one has nothing to do", async () => {
    const { objects, place, sent } = asClient(bucketWith(files()));
    const moves = await findMoves(place, users);
    expect(objects).toEqual(files());
    expect(await moveAll(place, moves, quiet)).toEqual([]);
    expect(objects).toEqual(moved);
    const lastCopy = sent.findLastIndex((one) => one.startsWith("Copy"));
    expect(sent.findIndex((one) => one.startsWith("Delete"))).toBeGreaterThan(lastCopy);
    expect(await findMoves(place, users)).toEqual([]);
  });

  it("continues after an interruption, and overwrites no other object", async () => {
    const { objects, place, sent } = asClient(
      bucketWith({
        ...files(),
        "shared/data.csv": "other",
        "people/ana/jobs/marimo-dev-ana-x-1/a file.html": "page",
      }),
    );
    const problems = await moveAll(place, await findMoves(place, users), quiet);
    expect(problems).toEqual(["data.csv: shared/data.csv is there already, with another content"]);
    expect(objects).toMatchObject({ "data.csv": "data", "shared/data.csv": "other" });
    expect(sent.filter((one) => one.startsWith("Copy"))).toEqual([
      "CopyObjectCommand people/bo/sweeps/g-261124173000-ab12/sweep.json",
    ]);
    expect(Object.keys(objects)).not.toContain("marimo/jobs/marimo-dev-ana-x-1/a file.html");
  });

  it("keeps an original whose copy differs", async () => {
    const { broken, objects, place } = asClient(bucketWith(files()));
    broken.add("shared/data.csv");
    const problems = await moveAll(place, await findMoves(place, users), quiet);
    expect(problems).toEqual(["data.csv: its copy shared/data.csv differs"]);
    expect(objects["data.csv"]).toBe("data");
  });

  it("reads nothing else in an existing bucket", async () => {
    const { place } = asClient(bucketWith({ "data.csv": "data", "marimo/jobs/marimo-dev-bo-x/a": "a" }));
    expect(await findMoves(place, { ...users, isExistingBucket: true })).toEqual([
      { from: "marimo/jobs/marimo-dev-bo-x/a", to: "people/bo/jobs/marimo-dev-bo-x/a", bytes: 1 },
    ]);
  });
});
