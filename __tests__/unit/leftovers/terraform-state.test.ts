import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { managedIds } from "../../../src/leftovers/terraform-state.ts";

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

describe("the IDs in Terraform's state", () => {
  it("are those of all instances of managed resources, without data sources", async () => {
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
    expect((await managedIds(dev, folder)).account).toBeUndefined();
    // Resources of different types can have the same name, for example a role and a log group.
    expect(ids).toContain("aws_vpc vpc-1");
    expect(ids).not.toContain("aws_security_group vpc-1");
  });

  it("come with the account that the state belongs to", async () => {
    const instances = [{ attributes: { id: "1", input: { value: "111122223333", type: "string" } } }];
    const resource = { mode: "managed", type: "terraform_data", name: "state_account", instances };
    const folder = folderWith({ version: 4, resources: [resource] });
    expect((await managedIds(dev, folder)).account).toBe("111122223333");
  });

  it("are empty without a state, or with an empty one", async () => {
    expect([...(await managedIds(dev, folderWith())).ids]).toEqual([]);
    expect([...(await managedIds(dev, folderWith({}))).ids]).toEqual([]);
    // The lock of a first apply that was killed within 20 s leaves an empty file.
    expect([...(await managedIds(dev, folderWith(""))).ids]).toEqual([]);
    const lost = folderWith();
    writeFileSync(join(lost, "terraform.dev.tfstate.backup"), "{}");
    expect([...(await managedIds(dev, lost)).ids]).toEqual([]);
  });

  it("are not returned for a broken state, which a killed Terraform or a full disk can leave", async () => {
    const cut = '{ "version": 4, "resou';
    await expect(managedIds(dev, folderWith(cut))).rejects.toThrow(/dev\.tfstate is truncated/);
    for (const text of ["", cut]) {
      const folder = folderWith(text);
      writeFileSync(join(folder, "terraform.dev.tfstate.backup"), "{}");
      await expect(managedIds(dev, folder)).rejects.toThrow(/dev\.tfstate is (empty|truncated)/);
    }
  });
});
