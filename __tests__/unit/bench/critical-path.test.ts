import { describe, expect, it } from "vitest";
import {
  criticalPath,
  dependenciesIn,
  type Message,
  messageIn,
  resourceTimes,
  secondsOf,
} from "../../../scripts/bench/critical-path.ts";

/** A message of Terraform 1.11. */
function line(type: string, addr: string, second: number, action = "create"): string {
  return JSON.stringify({
    "@level": "info",
    "@message": `${addr}: ${type}`,
    "@module": "terraform.ui",
    "@timestamp": `2026-11-24T13:00:${String(second).padStart(2, "0")}.500000Z`,
    hook: { resource: { addr, resource_type: addr.split(".")[0] }, action },
    type,
  });
}

const read = (lines: readonly string[]): readonly Message[] => lines.flatMap((one) => messageIn(one) ?? []);

/** a ← b ← d and a ← c ← d, where c depends on a through a local value. e has no dependencies. */
const summary = `digraph G {
  rankdir = "RL";
  "null.a" [label="null.a"];
  "null.b" -> "null.a";
  "null.c" -> "local.x";
  "local.x" -> "null.a";
  "null.d" -> "null.b";
  "null.d" -> "null.c";
}`;
const detailed = String.raw`digraph {
	subgraph "root" {
		"[root] null.a (expand)" [label = "null.a", shape = "box"]
		"[root] null.a (expand)" -> "[root] provider[\"registry.terraform.io/hashicorp/null\"]"
		"[root] null.b (expand)" -> "[root] null.a (expand)"
		"[root] null.c (expand)" -> "[root] local.x (expand)"
		"[root] local.x (expand)" -> "[root] null.a (expand)"
		"[root] null.d (expand)" -> "[root] null.b (expand)"
		"[root] null.d (expand)" -> "[root] null.c (expand)"
		"[root] provider[\"registry.terraform.io/hashicorp/null\"] (close)" -> "[root] null.d (expand)"
	}
}`;
const times = { "null.a": 2, "null.b": 5, "null.c": 7, "null.d": 1, "null.e": 9 };
const path = (dot: string, changed: Readonly<Record<string, number>> = {}) =>
  criticalPath(dependenciesIn(dot), new Map(Object.entries({ ...times, ...changed })));
const names = (links: ReturnType<typeof path>) => links.map(({ resource }) => resource);

describe("the critical path of a Terraform run", () => {
  it("counts a resource from the start of its first instance to the end of its last one, without data sources", () => {
    const messages = read([
      "╷ Warning: of a provider's",
      line("apply_start", 'aws_s3_object.file["a[0].py"]', 1),
      line("apply_start", 'aws_s3_object.file["b.py"]', 2),
      line("apply_progress", 'aws_s3_object.file["a[0].py"]', 3),
      line("apply_complete", 'aws_s3_object.file["a[0].py"]', 4),
      line("apply_complete", 'aws_s3_object.file["b.py"]', 9),
      line("apply_start", "data.aws_region.here", 1, "read"),
      line("apply_complete", "data.aws_region.here", 8, "read"),
      line("apply_start", "aws_vpc.never_done", 1),
    ]);
    expect(Object.fromEntries(resourceTimes(messages))).toEqual({ "aws_s3_object.file": 8 });
  });

  it.each([
    ["Terraform's summary graph", summary],
    ["OpenTofu's detailed graph", detailed],
  ])("is the longest chain in %s, in the order of execution", (_, dot) => {
    expect(names(path(dot))).toEqual(["null.a", "null.c", "null.d"]);
    expect(secondsOf(path(dot))).toBe(10);
  });

  it("is another chain or a single resource if that takes longer", () => {
    expect(names(path(summary, { "null.b": 8 }))).toEqual(["null.a", "null.b", "null.d"]);
    expect(names(path(summary, { "null.e": 11 }))).toEqual(["null.e"]);
    // Control: the same times without the graph's edges.
    expect(names(path("digraph G {}"))).toEqual(["null.e"]);
    expect(path(summary.replace('"null.c" -> "local.x";', ""))).toEqual([{ resource: "null.e", seconds: 9 }]);
  });

  it("rejects a circular graph", () => {
    expect(() => path(`${summary} "null.a" -> "null.d";`)).toThrow("depends on itself");
  });
});
