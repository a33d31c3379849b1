import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { copyProject } from "../../scripts/bench/project-copy.ts";
import { capture } from "../../src/cli/processes.ts";
import { pythonEnvironment } from "../../src/cli/python/python-environment.ts";
import { gatewayProfiles } from "../../src/local-studio/gateway-faults.ts";
import { MarimoPage } from "../../src/local-studio/marimo-page.ts";
import { StudioClient } from "../../src/local-studio/studio-client.ts";
import { launchBrowser, newContext } from "../support/browser.ts";
import { patience } from "../support/patience.ts";
import { openPanel } from "../support/space-browser.ts";
import type { StackFixture } from "../support/stack-fixture.ts";
import { StackWithApps } from "../support/stack-with-apps.ts";

const environments = `[{
  name: "dev",
  userProfiles: [{ name: "ana" }, { name: "bo" }],
  homeFileSystemRetention: "Delete",
  ai: { chatModel: "us.amazon.nova-pro-v1:0" },
  teams: [
    {
      name: "forecasting",
      members: ["ana"],
      access: {
        buckets: [{ name: "acme-lake", prefix: "curated/" }],
        glueDatabases: ["sales"],
        athena: { bytesScannedCutoffGb: 10 },
      },
    },
    { name: "support", members: ["ana", "bo"], access: { secrets: ["support/*"] } },
  ],
}]`;

/** The team's data: a table of the account's catalog, whose file is in the team's bucket. */
const lake = `
import sys
import boto3
def client(service):
    return boto3.client(service, region_name="us-east-1", endpoint_url=sys.argv[1])
s3, glue = client("s3"), client("glue")
s3.create_bucket(Bucket="acme-lake")
s3.put_object(Bucket="acme-lake", Key="curated/orders/1.csv", Body="tea,12\\ncake,30\\n")
glue.create_database(DatabaseInput={"Name": "sales"})
glue.create_table(DatabaseName="sales", TableInput={"Name": "orders", "TableType": "EXTERNAL_TABLE", "StorageDescriptor": {
    "Location": "s3://acme-lake/curated/orders/",
    "Columns": [{"Name": "item", "Type": "string"}, {"Name": "amount", "Type": "int"}],
    "SerdeInfo": {"SerializationLibrary": "org.apache.hadoop.hive.serde2.OpenCSVSerde"}}})
`;

let running: StackWithApps;
let fixture: StackFixture;
let browser: Browser;

beforeAll(async () => {
  const { python } = await pythonEnvironment("aws");
  const { faults } = gatewayProfiles["reported-studio"];
  running = await StackWithApps.start({
    project: copyProject(environments),
    iam: true,
    image: "image-full",
    faults,
  });
  ({ fixture } = running);
  const env = { ...process.env, ...fixture.localAws.environment };
  const made = await capture(python, ["-c", lake, fixture.localAws.endpoint], { env });
  if (made?.status !== 0) throw new Error(made?.stderr);
  await fixture.apply();
  browser = await launchBrowser();
});
afterAll(async () => {
  await browser?.close();
  await running?.stop();
});

interface Home {
  readonly page: Page;
  /** marimo's address in the person's space. */
  readonly marimo: string;
}

/** Opens JupyterLab in a space of the person, as Studio does. */
async function signIn(person: string): Promise<Home> {
  const studio = await StudioClient.find(fixture.sagemaker, "dev", 200, person);
  await studio.createSpace(`${person}-lab`);
  await studio.createApp(`${person}-lab`);
  const page = await (await newContext(browser)).newPage();
  await page.goto(await studio.presignedUrl(`${person}-lab`, "app:JupyterLab:lab"), { waitUntil: "commit" });
  await page.locator(".jp-Launcher").first().waitFor();
  return { page, marimo: `${page.url().replace(/\/lab(\/.*|\?.*)?$/, "")}/marimo/` };
}

/** Opens a sample and runs its cells. */
async function openSample({ page, marimo }: Home, name: string): Promise<MarimoPage> {
  const notebook = new MarimoPage(page);
  await notebook.open(`${marimo}?file=${name}`, patience);
  await notebook.waitForKernel(patience);
  await notebook.runStaleCells(patience);
  await notebook.waitForIdle(patience);
  return notebook;
}

const shown = (page: Page, text: string | RegExp) =>
  page.getByText(text).first().waitFor({ timeout: patience });

/** A day of each in a space of their own, whose requests the deployed policies allow or refuse. */
describe("two people in one environment", () => {
  it("ana, whose team has a grant, queries it, asks the assistant, and moves a what-if slider", async () => {
    const ana = await signIn("ana");
    await openSample(ana, "05_query.py");
    await shown(ana.page, "cake");
    await openPanel(ana.page, "AI");
    await ana.page.locator(".cm-editor", { hasText: "Ask anything" }).locator(".cm-content").click();
    await ana.page.keyboard.type("how are you");
    await ana.page.keyboard.press("Enter");
    await shown(ana.page, "Hello from the stand-in for Bedrock.");
    const whatIf = await openSample(ana, "07_endpoint.py");
    await ana.page.getByRole("button", { name: "Create the endpoint" }).click();
    await shown(ana.page, "by the endpoint");
    await whatIf.moveSlider(patience);
    await shown(ana.page, "by the endpoint");
  });

  it("bo, whose team has none, reads what is missing and whom to ask", async () => {
    const bo = await signIn("bo");
    await openSample(bo, "05_query.py");
    await shown(bo.page, "You have no access to Athena. Ask your platform engineer");
    expect(await bo.page.getByText("cake").count()).toBe(0);
  });
});
