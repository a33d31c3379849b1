import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { workFolder } from "../../src/cli/paths.ts";
import { capture } from "../../src/cli/processes.ts";
import { pythonEnvironment } from "../../src/cli/python/python-environment.ts";
import { type LocalAws, startLocalAws } from "../../src/local-studio/local-aws.ts";

/** Defines `client`, and `query`, which waits for the end of a query. */
const prelude = `
import json, os, sys, time
import boto3
from botocore.exceptions import ClientError
def client(service):
    return boto3.client(service, region_name="us-east-1", endpoint_url=sys.argv[1])
def refused(call):
    try:
        return call()
    except ClientError as error:
        return {name: error.response["Error"][name] for name in ("Code", "Message")}
def query(sql, database="sales", workgroup="people", **more):
    athena = client("athena")
    if database:
        more["QueryExecutionContext"] = {"Database": database}
    started = refused(lambda: athena.start_query_execution(QueryString=sql, WorkGroup=workgroup, **more))
    if "Code" in started:
        return started
    id = started["QueryExecutionId"]
    while True:
        found = athena.get_query_execution(QueryExecutionId=id)["QueryExecution"]
        if found["Status"]["State"] not in ("QUEUED", "RUNNING"):
            break
        time.sleep(0.02)
    told = {"state": found["Status"]["State"], "reason": found["Status"].get("StateChangeReason")}
    if told["state"] != "SUCCEEDED":
        return told
    results = refused(lambda: athena.get_query_results(QueryExecutionId=id))
    if "Code" in results:
        return results
    return {
        **told,
        "location": found["ResultConfiguration"]["OutputLocation"].replace(id, "ID"),
        "scanned": found["Statistics"]["DataScannedInBytes"],
        "columns": [[one["Name"], one["Type"]] for one in results["ResultSet"]["ResultSetMetadata"]["ColumnInfo"]],
        "rows": [[one.get("VarCharValue") for one in row["Data"]] for row in results["ResultSet"]["Rows"]],
    }
`;

const setup = `
import duckdb, tempfile
s3, glue = client("s3"), client("glue")
for bucket in ("lake", "results"):
    s3.create_bucket(Bucket=bucket)
def put(key, body):
    s3.put_object(Bucket="lake", Key=key, Body=body)
put("orders/1.csv", "id,item,price,day\\n1,chair,10.50,2026-01-02\\n2,\\"a, b\\",,2026-01-03\\n")
put("orders/_SUCCESS", "hidden")
put("tabs/1.csv", "1\\tx\\\\N\\n2\\t\\\\N\\n")
put("events/1.json", json.dumps({"id": 1, "tags": ["a", "b"], "at": "2026-01-02 03:04:05.678"}) + "\\n" + json.dumps({"id": 2}) + "\\n")
put("visits/day=1/a.csv", "5\\n")
put("visits/day=2/a.csv", "7\\n8\\n")
put("visits/day=3/a.csv", "100\\n")
with tempfile.TemporaryDirectory() as folder:
    duckdb.sql("SELECT 1::BIGINT AS id, 2.5::DOUBLE AS weight, 'extra' AS other").write_parquet(f"{folder}/x.parquet")
    put("weights/x.parquet", open(f"{folder}/x.parquet", "rb").read())
glue.create_database(DatabaseInput={"Name": "sales"})
glue.create_database(DatabaseInput={"Name": "secret"})
def table(name, columns, serde, database="sales", keys=(), parameters=(), **serde_parameters):
    pairs = lambda text: [{"Name": one.split()[0], "Type": one.split()[1]} for one in text]
    glue.create_table(DatabaseName=database, TableInput={
        "Name": name, "TableType": "EXTERNAL_TABLE", "Parameters": dict(parameters), "PartitionKeys": pairs(keys),
        "StorageDescriptor": {"Location": f"s3://lake/{name}/", "Columns": pairs(columns),
                              "SerdeInfo": {"SerializationLibrary": serde, "Parameters": serde_parameters}}})
csv = "org.apache.hadoop.hive.serde2.OpenCSVSerde"
lazy = "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe"
table("orders", ["id int", "item string", "price decimal(10,2)", "day date"], csv, parameters={"skip.header.line.count": "1"})
table("tabs", ["id int", "name string"], lazy, **{"field.delim": "\\t"})
table("events", ["id int", "tags array<string>", "at timestamp"], "org.openx.data.jsonserde.JsonSerDe")
table("weights", ["id bigint", "weight double", "absent string"], "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe")
table("visits", ["count int"], lazy, keys=["day string"], **{"field.delim": ","})
table("avro", ["id int"], "org.apache.hadoop.hive.serde2.avro.AvroSerDe")
table("orders", ["id int"], csv, database="secret")
for day in ("1", "2"):
    glue.create_partition(DatabaseName="sales", TableName="visits", PartitionInput={
        "Values": [day], "StorageDescriptor": {"Location": f"s3://lake/visits/day={day}/"}})
put("big/1.csv", "1\\n" * 6_000_000)
table("big", ["id int"], lazy)
def workgroup(name, enforce, **more):
    client("athena").create_work_group(Name=name, Configuration={
        "ResultConfiguration": {"OutputLocation": f"s3://results/{name}/"}, "EnforceWorkGroupConfiguration": enforce, **more})
workgroup("people", True, BytesScannedCutoffPerQuery=10_000_000)
workgroup("free", False)
iam = client("iam")
results = {"Effect": "Allow", "Action": ["s3:GetBucketLocation", "s3:GetObject", "s3:PutObject"], "Resource": ["arn:aws:s3:::results", "arn:aws:s3:::results/*"]}
athena = {"Effect": "Allow", "Action": "athena:*", "Resource": "*"}
tables = {"Effect": "Allow", "Action": "glue:Get*", "Resource": ["arn:aws:glue:us-east-1:123456789012:" + one for one in ("catalog", "database/sales", "table/sales/*")]}
files = {"Effect": "Allow", "Action": ["s3:GetObject", "s3:ListBucket"], "Resource": ["arn:aws:s3:::lake", "arn:aws:s3:::lake/*"]}
for name, statements in {"ana": [athena, results, tables, files], "bo": [athena, results], "cy": [athena, results, tables], "di": [athena]}.items():
    iam.create_role(RoleName=name, AssumeRolePolicyDocument="{}")
    iam.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": statements}))
print("{}")
`;

let folder: string;
let localAws: LocalAws;
let python: string;

async function run(script: string, more: NodeJS.ProcessEnv = {}): Promise<unknown> {
  const env = { ...process.env, ...localAws.environment, ...more };
  const result = await capture(python, ["-c", prelude + script, localAws.endpoint], { env });
  if (result?.status !== 0) throw new Error(result?.stderr);
  return JSON.parse(result.stdout);
}
const print = (expression: string) => run(`print(json.dumps(${expression}))`);
/** The same with the session of a role. */
const as = (role: string, expression: string) =>
  run(`
session = client("sts").assume_role(RoleArn="arn:aws:iam::123456789012:role/${role}", RoleSessionName="SageMaker")["Credentials"]
os.environ.update(AWS_ACCESS_KEY_ID=session["AccessKeyId"], AWS_SECRET_ACCESS_KEY=session["SecretAccessKey"], AWS_SESSION_TOKEN=session["SessionToken"])
boto3.setup_default_session()
print(json.dumps(${expression}))`);

beforeAll(async () => {
  mkdirSync(workFolder, { recursive: true });
  folder = mkdtempSync(join(workFolder, "test-athena-"));
  ({ python } = await pythonEnvironment("aws"));
  localAws = await startLocalAws({ python, log: join(folder, "local-aws.log"), iam: true });
  await run(setup);
});
afterAll(async () => {
  await localAws?.stop();
  rmSync(folder, { recursive: true, force: true });
});

describe("Athena", () => {
  it("reads CSV, JSON and Parquet with the types of the Glue tables", async () => {
    expect(
      await print(
        '[query("SELECT * FROM orders ORDER BY id"), query("SELECT * FROM tabs"), query("SELECT * FROM events"), query("SELECT * FROM sales.weights")]',
      ),
    ).toMatchObject([
      {
        columns: [
          ["id", "integer"],
          ["item", "varchar"],
          ["price", "decimal"],
          ["day", "date"],
        ],
        rows: [
          ["id", "item", "price", "day"],
          ["1", "chair", "10.50", "2026-01-02"],
          ["2", "a, b", null, "2026-01-03"],
        ],
      },
      {
        rows: [
          ["id", "name"],
          ["1", "x\\N"],
          ["2", null],
        ],
      },
      {
        columns: [
          ["id", "integer"],
          ["tags", "array"],
          ["at", "timestamp"],
        ],
        rows: [
          ["id", "tags", "at"],
          ["1", "[a, b]", "2026-01-02 03:04:05.678"],
          ["2", null, null],
        ],
      },
      {
        columns: [
          ["id", "bigint"],
          ["weight", "double"],
          ["absent", "varchar"],
        ],
        rows: [
          ["id", "weight", "absent"],
          ["1", "2.5", null],
        ],
      },
    ]);
  });

  it("reads the partitions that Glue has, and no other folder", async () => {
    expect(
      await print('query("SELECT day, sum(count) FROM visits GROUP BY day ORDER BY day")'),
    ).toMatchObject({
      columns: [
        ["day", "varchar"],
        ["_col1", "bigint"],
      ],
      rows: [
        ["day", "_col1"],
        ["1", "5"],
        ["2", "15"],
      ],
    });
  });

  it("writes a CSV file to the location that the workgroup enforces", async () => {
    const other = `ResultConfiguration={"OutputLocation": "s3://results/mine/"}`;
    expect(await print(`query("SELECT 1 AS a", ${other})`)).toMatchObject({
      location: "s3://results/people/ID.csv",
    });
    expect(await print(`query("SELECT 1 AS a", workgroup="free", ${other})`)).toMatchObject({
      location: "s3://results/mine/ID.csv",
    });
    expect(await print('query("SELECT 1 AS a", workgroup="primary")')).toMatchObject({
      Code: "InvalidRequestException",
      Message: expect.stringMatching(/^No output location provided/),
    });
    const file = `(lambda s3: s3.get_object(Bucket="results", Key=s3.list_objects_v2(Bucket="results", Prefix="free/")["Contents"][0]["Key"])["Body"].read().decode())(client("s3"))`;
    expect(
      await print(`[query("SELECT 'a\\"b' AS x, NULL AS y, '' AS z", workgroup="free"), ${file}]`),
    ).toMatchObject([{ state: "SUCCEEDED" }, '"x","y","z"\n"a""b",,""\n']);
  });

  it("cancels a query that scans more than the workgroup allows", async () => {
    expect(await print('query("SELECT count(*) FROM big")')).toEqual({
      state: "CANCELLED",
      reason: "Bytes scanned limit was exceeded",
    });
    expect(await print('query("SELECT count(*) FROM big", workgroup="free")')).toMatchObject({
      rows: [["_col0"], ["6000000"]],
      scanned: 12_000_000,
    });
  });

  it("speaks the dialect of Athena", async () => {
    const sql =
      "SELECT date_format(day, '%Y'), approx_distinct(id), cardinality(ARRAY[1, 2]) FROM orders GROUP BY 1";
    expect(await print(`query(${JSON.stringify(sql)})`)).toMatchObject({
      rows: [
        ["_col0", "_col1", "_col2"],
        ["2026", "2", "2"],
      ],
    });
    expect(
      await print(
        `query("SELECT item FROM orders WHERE id = ? OR item = ?", ExecutionParameters=["1", "no"])`,
      ),
    ).toMatchObject({ rows: [["item"], ["chair"]] });
    expect(await print('query("WITH t AS (SELECT 1 AS a) SELECT a FROM t")')).toMatchObject({
      rows: [["a"], ["1"]],
    });
    expect(await print('query("SHOW TABLES IN sales")')).toMatchObject({
      location: "s3://results/people/ID.txt",
      rows: [["avro"], ["big"], ["events"], ["orders"], ["tabs"], ["visits"], ["weights"]],
    });
  });

  it("words errors as Athena does", async () => {
    const of = async (sql: string) => {
      const found = (await print(`query(${JSON.stringify(sql)})`)) as { reason?: string; Message?: string };
      return found.reason ?? found.Message;
    };
    expect(await of("SELECT *\nFROM nope")).toBe(
      "TABLE_NOT_FOUND: line 2:6: Table 'awsdatacatalog.sales.nope' does not exist",
    );
    expect(await of("SELECT * FROM nope.orders")).toBe(
      "SCHEMA_NOT_FOUND: line 1:15: Schema 'nope' does not exist",
    );
    expect(await of("SELECT nope FROM orders")).toContain("COLUMN_NOT_FOUND: line 1:8: Column 'nope'");
    expect(await of("SELECT nope(1)")).toContain("FUNCTION_NOT_FOUND");
    expect(await of("SELEC 1")).toContain("line 1:1: mismatched input 'SELEC'");
    expect(await of("SELECT 1 FROM WHERE")).toMatch(/^line 1:\d+: mismatched input/);
    expect(await of("DROP TABLE orders")).toContain("not DROP");
    expect(await of("SELECT * FROM avro")).toContain("reads CSV, JSON and Parquet");
    expect(await of("SELECT * FROM read_csv('/etc/passwd')")).toContain("disabled");
  });

  it("stops a running query", async () => {
    const script = `
athena = client("athena")
sql = "SELECT count(*) FROM UNNEST(sequence(1, 200000)) AS a(x) CROSS JOIN UNNEST(sequence(1, 200000)) AS b(y) WHERE x * y % 7 = 3"
id = athena.start_query_execution(QueryString=sql, WorkGroup="people")["QueryExecutionId"]
while athena.get_query_execution(QueryExecutionId=id)["QueryExecution"]["Status"]["State"] == "QUEUED":
    time.sleep(0.02)
running = refused(lambda: athena.get_query_results(QueryExecutionId=id))
athena.stop_query_execution(QueryExecutionId=id)
status = athena.get_query_execution(QueryExecutionId=id)["QueryExecution"]["Status"]
print(json.dumps([running["Message"], status["State"], status["StateChangeReason"], refused(lambda: athena.get_query_results(QueryExecutionId=id))["Message"]]))`;
    expect(await run(script)).toEqual([
      "Query has not yet finished. Current state: RUNNING",
      "CANCELLED",
      "Query cancelled by user",
      "Could not find results",
    ]);
  });

  it("pages results, and repeats no query of the same token", async () => {
    const script = `
athena = client("athena")
sql = "SELECT * FROM UNNEST(sequence(1, 2500)) AS t(x)"
token = "0123456789abcdef0123456789abcdef"
ids = {athena.start_query_execution(QueryString=sql, WorkGroup="people", ClientRequestToken=token)["QueryExecutionId"] for _ in range(2)}
while athena.get_query_execution(QueryExecutionId=next(iter(ids)))["QueryExecution"]["Status"]["State"] != "SUCCEEDED":
    time.sleep(0.02)
pages = athena.get_paginator("get_query_results").paginate(QueryExecutionId=next(iter(ids)))
print(json.dumps([len(ids), [len(page["ResultSet"]["Rows"]) for page in pages]]))`;
    expect(await run(script)).toEqual([1, [1000, 1000, 501]]);
  });

  it("lists what Glue has", async () => {
    expect(
      await print(`[
  [one["Name"] for one in client("athena").list_databases(CatalogName="AwsDataCatalog")["DatabaseList"]],
  [one["Name"] for one in client("athena").list_table_metadata(CatalogName="AwsDataCatalog", DatabaseName="sales", Expression="^o")["TableMetadataList"]],
  (lambda one: [one["Columns"][0], one["Parameters"]["location"], one["TableType"]])(client("athena").get_table_metadata(CatalogName="AwsDataCatalog", DatabaseName="sales", TableName="orders")["TableMetadata"]),
  refused(lambda: client("athena").get_table_metadata(CatalogName="AwsDataCatalog", DatabaseName="sales", TableName="nope"))["Code"],
]`),
    ).toEqual([
      ["sales", "secret"],
      ["orders"],
      [{ Name: "id", Type: "int" }, "s3://lake/orders/", "EXTERNAL_TABLE"],
      "MetadataException",
    ]);
  });

  it("rejects what the service model rejects", async () => {
    const request = `refused(lambda: client("athena").get_query_results(QueryExecutionId="x", MaxResults=5000))`;
    expect(await print(request)).toMatchObject({ Message: expect.stringContaining("'maxResults'") });
  });

  it("with --iam reads and writes what its caller may", async () => {
    const one = 'query("SELECT count(*) FROM orders")';
    expect(await as("ana", one)).toMatchObject({ state: "SUCCEEDED", rows: [["_col0"], ["2"]] });
    expect(await as("ana", 'query("SELECT * FROM secret.orders")')).toMatchObject({
      state: "FAILED",
      reason: expect.stringMatching(
        /^Insufficient permissions.*not authorized to perform: glue:GetTable on resource: .*secret/,
      ),
    });
    expect(await as("bo", one)).toMatchObject({
      state: "FAILED",
      reason: expect.stringContaining("not authorized to perform: glue:GetTable"),
    });
    expect(await as("cy", one)).toMatchObject({
      state: "FAILED",
      reason: expect.stringMatching(/^Permission denied on S3 path: s3:\/\/lake\/orders\/.*s3:ListBucket/),
    });
    expect(await as("di", one)).toMatchObject({
      Message: expect.stringMatching(/^Unable to verify\/create output bucket results.*s3:GetBucketLocation/),
    });
  });
});
