import { mkdtempSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { DeployedResources, deployedOf } from "../../../src/local-studio/deployed-resources.ts";

const resource = (type: string, ...attributes: object[]) => ({
  ...({ mode: "managed", type, name: "one" } as const),
  instances: attributes.map((one, index) => ({ index_key: index, attributes: one })),
});

it("counts managed resources by type and adds the prices of the plan review", () => {
  const deployed = deployedOf({
    resources: [
      resource("aws_nat_gateway", {}),
      resource("aws_eip", {}),
      resource("aws_subnet", {}, {}),
      resource("aws_vpc_endpoint", { vpc_endpoint_type: "Interface", subnet_ids: ["a", "b"] }),
      { ...resource("aws_region", {}), mode: "data" },
    ],
  });
  const kinds = deployed.kinds.map(({ type, count, monthly }) => [type, count, monthly.toFixed(2)]);
  expect(kinds).toEqual([
    ["aws_eip", 1, "3.65"],
    ["aws_nat_gateway", 1, "32.85"],
    ["aws_subnet", 2, "0.00"],
    ["aws_vpc_endpoint", 1, "14.60"],
  ]);
  expect(deployed.monthly.toFixed(2)).toBe("51.10");
  expect(deployed.usage).toEqual(["NAT gateway: 0.045 a GB", "interface endpoints: 0.01 a GB"]);
});

it("reads the state file after each change, and returns the previous content while Terraform writes it", () => {
  const folder = mkdtempSync(join(tmpdir(), "sagemaker-marimo-state-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const file = join(folder, "terraform.tfstate");
  const deployed = new DeployedResources(file);
  let seconds = 1_000_000;
  const write = (text: string) => {
    writeFileSync(file, text);
    utimesSync(file, seconds, seconds++);
  };
  const types = () => deployed.read().kinds.map(({ type }) => type);
  expect(types()).toEqual([]);
  write(JSON.stringify({ resources: [resource("aws_eip", {})] }));
  expect(types()).toEqual(["aws_eip"]);
  for (const half of ["", '{"resources": [']) {
    write(half);
    expect(types()).toEqual(["aws_eip"]);
  }
  write(JSON.stringify({ resources: [resource("aws_subnet", {})] }));
  expect(types()).toEqual(["aws_subnet"]);
});
