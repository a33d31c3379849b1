import { cpSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { spacePython } from "../../scripts/lock/sample-results.ts";
import { projectFolder, workFolder } from "../../src/cli/paths.ts";
import { capture } from "../../src/cli/processes.ts";
import { pythonEnvironment } from "../../src/cli/python/python-environment.ts";
import { type LocalAws, startLocalAws } from "../../src/local-studio/local-aws.ts";
import { resolveEnvironment } from "../../src/settings/environment.ts";
import { lockFileOf } from "../../src/settings/locks.ts";

/** Roles: ana has every grant; bo has none of tables; cy may not list databases. Prints their variables. */
const setup = `
import json, sys
import boto3
def client(service):
    return boto3.client(service, region_name="us-east-1", endpoint_url=sys.argv[1])
s3, glue, iam = client("s3"), client("glue"), client("iam")
s3.create_bucket(Bucket="lake")
s3.put_object(Bucket="lake", Key="orders/1.csv", Body="1,chair\\n2,lamp\\n")
s3.put_object(Bucket="lake", Key="people/ana/data/prices.csv", Body="category,price\\nChair,10\\nChair,20\\nLamp,5\\n")
s3.put_object(Bucket="lake", Key="shared/data/prices.csv", Body="category,price\\nRug,1\\n")
for name in ("sales", "secret"):
    glue.create_database(DatabaseInput={"Name": name})
    glue.create_table(DatabaseName=name, TableInput={"Name": "orders", "TableType": "EXTERNAL_TABLE", "StorageDescriptor": {
        "Location": "s3://lake/orders/", "Columns": [{"Name": "id", "Type": "int"}, {"Name": "item", "Type": "string"}],
        "SerdeInfo": {"SerializationLibrary": "org.apache.hadoop.hive.serde2.OpenCSVSerde"}}})
client("athena").create_work_group(Name="people", Configuration={
    "ResultConfiguration": {"OutputLocation": "s3://lake/results/"}, "EnforceWorkGroupConfiguration": True})
arn = "arn:aws:glue:us-east-1:123456789012:"
files = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
athena = {"Effect": "Allow", "Action": "athena:*", "Resource": "*"}
tables = {"Effect": "Allow", "Action": "glue:Get*", "Resource": [arn + "catalog", arn + "database/sales", arn + "table/sales/*"]}
databases = {"Effect": "Allow", "Action": "glue:GetDatabases", "Resource": [arn + "catalog", arn + "database/*"]}
sessions = {}
for name, statements in {"ana": [files, athena, tables, databases], "bo": [athena], "cy": [files, athena, tables]}.items():
    iam.create_role(RoleName=name, AssumeRolePolicyDocument="{}")
    iam.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": statements}))
    key = client("sts").assume_role(RoleArn=f"arn:aws:iam::123456789012:role/{name}", RoleSessionName="SageMaker")["Credentials"]
    sessions[name] = {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"], "AWS_SESSION_TOKEN": key["SessionToken"]}
print(json.dumps(sessions))
`;

/** What marimo's data panel shows of the notebook's engine, when all of it is unfolded. */
const panel = `
import json, os, sqlalchemy
from marimo._sql.get_engines import get_engines_from_variables
engine = sqlalchemy.create_engine(f"awsathena+rest://@athena.us-east-1.amazonaws.com:443/default?work_group=people")
[(name, found)] = get_engines_from_variables([("athena", engine)])
databases = found.get_databases(include_schemas=True, include_tables=True, include_table_details=True)
print(json.dumps([[one.name, schema.name, table.name, [column.name for column in table.columns]] for one in databases for schema in one.schemas for table in schema.tables]))
`;

let folder: string;
let localAws: LocalAws;
let python: string;
let sessions: Readonly<Record<string, Readonly<Record<string, string>>>>;
beforeAll(async () => {
  mkdirSync(workFolder, { recursive: true });
  folder = mkdtempSync(join(workFolder, "test-query-sample-"));
  const [aws, image] = [await pythonEnvironment("aws"), await pythonEnvironment("image-full")];
  const lockFile = lockFileOf(resolveEnvironment({ name: "dev" }));
  python = await spacePython({ folder: join(folder, "environment"), image: image.prefix, lockFile });
  localAws = await startLocalAws({ python: aws.python, log: join(folder, "local-aws.log"), iam: true });
  for (const name of ["05_query.py", "prices.csv"])
    cpSync(join(projectFolder, "sample-notebooks", name), join(folder, name));
  const env = { ...process.env, ...localAws.environment };
  const made = await capture(aws.python, ["-c", setup, localAws.endpoint], { env });
  if (made?.status !== 0) throw new Error(made?.stderr);
  sessions = JSON.parse(made.stdout);
}, 600_000);
afterAll(async () => {
  await localAws?.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** Runs a script with the session and the variables of a person's space. */
async function run(user: string, args: readonly string[], more: Readonly<Record<string, string>> = {}) {
  const env = {
    ...{ PATH: process.env.PATH, HOME: folder, AWS_ENDPOINT_URL: localAws.endpoint },
    ...{ AWS_DEFAULT_REGION: "us-east-1", MARIMO_BUCKET: "lake", MARIMO_PREFIX: `s3://lake/people/${user}` },
    ...sessions[user],
    ...more,
  };
  const result = await capture(python, args, { cwd: folder, env, timeout: 120_000 });
  if (result?.status !== 0) throw new Error(result?.stderr);
  return result.stdout;
}
const workgroup = { MARIMO_ATHENA_WORKGROUP: "people" };
const query = (user: string, more?: Readonly<Record<string, string>>) => run(user, ["05_query.py"], more);

describe("05_query.py with the image's packages", () => {
  it("reads the person's file, else everybody's, else the sample, and queries Athena", async () => {
    expect(await query("ana", workgroup)).toBe(
      "`prices` is `s3://lake/people/ana/data/prices.csv`.\n2 categories\n1 tables in Athena\n2 rows with id, item\n",
    );
    expect(await query("cy", workgroup)).toMatch(
      /^`prices` is `s3:\/\/lake\/shared\/data\/prices\.csv`\.\n1 categories\n/,
    );
    const nothing = { MARIMO_BUCKET: "", MARIMO_PREFIX: "" };
    expect(await query("ana", nothing)).toMatch(/^`prices` is the sample `prices\.csv`\.\n6 categories\n/);
  });

  it("says what is missing and whom to ask, without a grant", async () => {
    expect(await query("ana")).toContain(
      "You have no access to Athena. Ask your platform engineer for `access.athena`",
    );
    const bo = await query("bo", workgroup);
    expect(bo).toMatch(/`s3:\/\/lake\/people\/bo\/data\/prices\.csv` cannot be read: /);
    expect(bo).toContain("6 categories\n");
    expect(bo).toMatch(
      /Athena does not answer: .*glue:GetDatabases[\s\S]*Ask your platform engineer for `access\.glueDatabases`/,
    );
  });

  it("shows its tables in marimo's data panel", async () => {
    expect(JSON.parse(await run("ana", ["-c", panel], workgroup))).toEqual([
      ["default", "sales", "orders", ["id", "item"]],
    ]);
  });
});
