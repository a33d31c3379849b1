import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { managedIds } from "../../scripts/lib/terraform-state.ts";

function folderWith(state?: object | string): string {
  const folder = mkdtempSync(join(tmpdir(), "sagemaker-marimo-state-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  if (state !== undefined)
    writeFileSync(
      join(folder, "terraform.dev.tfstate"),
      typeof state === "string" ? state : JSON.stringify(state),
    );
  return folder;
}

const dev = { name: "dev", backend: { type: "local" } } as const;

describe("the ids in Terraform's state", () => {
  it("are those of managed resources, of every instance, and not of data", async () => {
    const instance = (id: string) => ({ attributes: { id } });
    const folder = folderWith({
      version: 4,
      resources: [
        { mode: "managed", type: "aws_vpc", instances: [instance("vpc-1")] },
        { mode: "managed", type: "aws_security_group", instances: [instance("sg-1"), instance("sg-2")] },
        { mode: "managed", type: "terraform_data", instances: [{}] },
        { mode: "data", type: "aws_partition", instances: [instance("aws")] },
      ],
    });
    const { place, ids } = await managedIds(dev, folder);
    expect(place).toBe("terraform.dev.tfstate");
    expect([...ids].filter((id) => !id.includes(" "))).toEqual(["vpc-1", "sg-1", "sg-2"]);
    // A role and a log group have the same name.
    expect(ids).toContain("aws_vpc vpc-1");
    expect(ids).not.toContain("aws_security_group vpc-1");
  });

  it("are none where there is no state, or an empty one", async () => {
    expect([...(await managedIds(dev, folderWith())).ids]).toEqual([]);
    expect([...(await managedIds(dev, folderWith({}))).ids]).toEqual([]);
    // As the lock of a first apply leaves it that was killed within 20 s.
    expect([...(await managedIds(dev, folderWith(""))).ids]).toEqual([]);
    const lost = folderWith();
    writeFileSync(join(lost, "terraform.dev.tfstate.backup"), "{}");
    expect([...(await managedIds(dev, lost)).ids]).toEqual([]);
  });

  it("are not none where the state is broken, as a kill may leave it", async () => {
    for (const text of ["", '{ "version": 4, "resou']) {
      const folder = folderWith(text);
      writeFileSync(join(folder, "terraform.dev.tfstate.backup"), "{}");
      await expect(managedIds(dev, folder)).rejects.toThrow(/state terraform\.dev\.tfstate is broken/);
    }
  });
});
