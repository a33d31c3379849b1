import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DescribeVpcsCommand, EC2Client } from "@aws-sdk/client-ec2";
import { DescribeFileSystemsCommand, EFSClient } from "@aws-sdk/client-efs";
import { ListDomainsCommand, SageMakerClient } from "@aws-sdk/client-sagemaker";
import { GetCallerIdentityCommand, STSClient } from "@aws-sdk/client-sts";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { workFolder } from "../../src/cli/paths.ts";
import { capture } from "../../src/cli/processes.ts";
import { pythonEnvironment } from "../../src/cli/python/python-environment.ts";
import { findTerraform, terraformEnvironment } from "../../src/cli/terraform-cli.ts";
import { type FaultRule, type LocalAws, startLocalAws } from "../../src/local-studio/local-aws.ts";

const region = "us-east-1";
let folder: string;
let localAws: LocalAws;

beforeAll(async () => {
  mkdirSync(workFolder, { recursive: true });
  folder = mkdtempSync(join(workFolder, "test-faults-"));
  await start();
});
afterEach(() => localAws.setFaults([]));
afterAll(async () => {
  await localAws?.stop();
  rmSync(folder, { recursive: true, force: true });
});

async function start() {
  const { python } = await pythonEnvironment("aws");
  localAws = await startLocalAws({ python, log: join(folder, "local-aws.log") });
}

/** One request does not need an S3 client. */
async function listBuckets(): Promise<void> {
  const signature = `AWS4-HMAC-SHA256 Credential=test/20260101/${region}/s3/aws4_request, Signature=0`;
  const response = await fetch(localAws.endpoint, { headers: { Authorization: signature } });
  if (response.ok) return;
  const name = /<Error><Code>(\w+)<\/Code>/.exec(await response.text())?.[1] ?? "";
  throw Object.assign(new Error(name), { name, $metadata: { httpStatusCode: response.status } });
}

describe("the errors of each service", () => {
  /** One call per service. */
  function answers() {
    const configuration = { ...localAws.clientSettings(region), maxAttempts: 1 };
    return {
      ec2: () => new EC2Client(configuration).send(new DescribeVpcsCommand({})),
      s3: listBuckets,
      efs: () => new EFSClient(configuration).send(new DescribeFileSystemsCommand({})),
      sts: () => new STSClient(configuration).send(new GetCallerIdentityCommand({})),
      sagemaker: () => new SageMakerClient(configuration).send(new ListDomainsCommand({})),
    };
  }

  it.each([
    ["throttle", "ec2", 503, "RequestLimitExceeded"],
    ["throttle", "s3", 503, "SlowDown"],
    ["throttle", "efs", 429, "ThrottlingException"],
    ["throttle", "sts", 400, "Throttling"],
    ["throttle", "sagemaker", 400, "ThrottlingException"],
    ["error", "ec2", 500, "InternalError"],
    ["error", "s3", 500, "InternalError"],
    ["error", "efs", 500, "InternalServerError"],
    ["error", "sts", 500, "InternalFailure"],
    ["error", "sagemaker", 500, "InternalFailure"],
    ["expired-token", "ec2", 400, "RequestExpired"],
    ["expired-token", "s3", 400, "ExpiredToken"],
    ["expired-token", "efs", 403, "ExpiredTokenException"],
    ["expired-token", "sts", 403, "ExpiredToken"],
    ["expired-token", "sagemaker", 400, "ExpiredTokenException"],
    ["access-denied", "sagemaker", 403, "AccessDeniedException"],
    ["not-subscribed", "sagemaker", 403, "AccessDeniedException"],
    ["no-use-case-form", "sagemaker", 404, "ResourceNotFoundException"],
  ] as const)("%s of %s: %i %s, and no faults for other services", async (fault, service, status, code) => {
    await localAws.setFaults([{ operation: `${service}:*`, fault }]);
    for (const [name, ask] of Object.entries(answers())) {
      if (name !== service) await ask();
      else {
        await expect(ask()).rejects.toMatchObject({
          name: code,
          $metadata: { httpStatusCode: status },
        });
      }
    }
  });

  it("makes the selected requests fail, and counts them", async () => {
    const rule: FaultRule = { operation: "ec2:Describe*", fault: "error", after: 1, count: 2 };
    await localAws.setFaults([rule]);
    const outcomes: boolean[] = [];
    for (let call = 0; call < 4; call += 1) {
      outcomes.push(
        await answers()
          .ec2()
          .then(
            () => true,
            () => false,
          ),
      );
    }
    expect(outcomes).toEqual([true, false, false, true]);
    expect(await localAws.faults()).toEqual([expect.objectContaining({ ...rule, matched: 4, broken: 2 })]);
  });

  it("makes the same requests fail for the same seed", async () => {
    const drawn = async (seed: number) => {
      await localAws.setFaults([{ operation: "sts:*", fault: "error", probability: 0.5, seed }]);
      const outcomes: string[] = [];
      for (let call = 0; call < 16; call += 1) {
        outcomes.push(
          await answers()
            .sts()
            .then(
              () => ".",
              () => "x",
            ),
        );
      }
      return outcomes.join("");
    };
    const first = await drawn(1);
    expect(first).toMatch(/x.*\.|\..*x/);
    expect(await drawn(1)).toBe(first);
    expect(await drawn(2)).not.toBe(first);
  });

  it("delays the answer of a request", async () => {
    await localAws.setFaults([{ operation: "sts:*", fault: "latency", seconds: 1 }]);
    const before = performance.now();
    expect((await answers().sts()).$metadata.httpStatusCode).toBe(200);
    expect(performance.now() - before).toBeGreaterThanOrEqual(1000);
  });

  it("reports all problems of rules, and keeps the previous rules", async () => {
    const rule: FaultRule = { operation: "sts:*", fault: "error" };
    await localAws.setFaults([rule]);
    const wrong = [{ operation: "CreateVpc", fault: "boom", count: 0 }, 3] as unknown as FaultRule[];
    await expect(localAws.setFaults(wrong)).rejects.toThrow(
      /rule 1: operation is 'CreateVpc'.*\nrule 1: fault is 'boom': expected one of throttle.*\nrule 1: count is 0.*\nrule 2: expected an object, got 3/,
    );
    expect(await localAws.faults()).toEqual([expect.objectContaining(rule)]);
  });
});

describe("the real Terraform with injected faults", () => {
  let stack: string;
  let terraform: string;
  let environment: NodeJS.ProcessEnv;

  /** One resource of each protocol that the project's stacks use, with dependencies like theirs. */
  const resources = {
    aws_vpc: { one: { cidr_block: "10.0.0.0/16" } },
    aws_subnet: { one: { vpc_id: `\${aws_vpc.one.id}`, cidr_block: "10.0.0.0/24" } },
    aws_security_group: { one: { name: "faults", vpc_id: `\${aws_vpc.one.id}` } },
    aws_iam_role: {
      one: {
        name: "faults",
        assume_role_policy: JSON.stringify({
          Version: "2012-10-17",
          Statement: [
            {
              Effect: "Allow",
              Principal: { Service: "sagemaker.amazonaws.com" },
              Action: "sts:AssumeRole",
            },
          ],
        }),
      },
    },
    // The provider treats a 400 of HeadBucket, which has no body, as a bucket that does not exist yet, and retries for
    // 20 minutes by default: hashicorp/terraform-provider-aws#26155, #49960.
    aws_s3_bucket: { one: { bucket: "faults-of-a-bad-day", timeouts: { create: "10s" } } },
    aws_cloudwatch_log_group: { one: { name: "faults" } },
    aws_sagemaker_studio_lifecycle_config: {
      one: {
        studio_lifecycle_config_name: "faults",
        studio_lifecycle_config_app_type: "JupyterLab",
        studio_lifecycle_config_content: Buffer.from("#!/bin/bash\n").toString("base64"),
      },
    },
  };

  function write(provider: Readonly<Record<string, unknown>> = {}) {
    writeFileSync(
      join(stack, "main.tf.json"),
      JSON.stringify({ provider: { aws: { region, ...provider } }, resource: resources }),
    );
  }

  async function run(...args: string[]): Promise<{ status: number | null; output: string }> {
    const env = { ...environment, ...localAws.environment };
    const options = { cwd: stack, env, timeout: 300_000 };
    const result = await capture(terraform, [...args, "-no-color"], options);
    if (result === undefined) throw new Error(`${terraform} could not be started`);
    return { status: result.status, output: result.stdout + result.stderr };
  }

  async function broken(): Promise<number> {
    return (await localAws.faults()).reduce((sum, rule) => sum + rule.broken, 0);
  }

  beforeAll(async () => {
    terraform = (await findTerraform()).command;
    environment = {
      ...process.env,
      ...(await terraformEnvironment({ command: terraform, runFolder: folder })),
    };
    stack = join(folder, "stack");
    mkdirSync(stack);
    write();
    const { status, output } = await run("init");
    expect(status, output).toBe(0);
  });
  // Each test has a new account, without the resources of the previous test.
  beforeEach(async () => {
    write();
    for (const file of ["terraform.tfstate", "terraform.tfstate.backup"])
      rmSync(join(stack, file), { force: true });
    await localAws.stop();
    await start();
  });

  it("retries throttling and 500 errors, and applies and destroys everything", async () => {
    const faults: FaultRule[] = [
      { operation: "*", fault: "throttle", probability: 0.15, seed: 1 },
      { operation: "*", fault: "error", probability: 0.1, seed: 2 },
    ];
    await localAws.setFaults(faults);
    const apply = await run("apply", "-auto-approve");
    expect(apply.status, apply.output).toBe(0);
    expect(await broken()).toBeGreaterThan(3);
    expect((await localAws.inventory()).length).toBe(Object.keys(resources).length);
    await localAws.setFaults(faults);
    const destroy = await run("destroy", "-auto-approve");
    expect(destroy.status, destroy.output).toBe(0);
    expect(await broken()).toBeGreaterThan(3);
    expect(await localAws.inventory()).toEqual([]);
  });

  it("fails without retries, which proves that the faults have an effect", async () => {
    write({ max_retries: 1 });
    await localAws.setFaults([{ operation: "ec2:CreateVpc", fault: "throttle" }]);
    const { status, output } = await run("apply", "-auto-approve", "-target=aws_vpc.one");
    expect(status).toBe(1);
    expect(output).toContain("RequestLimitExceeded");
    expect(await localAws.inventory()).toEqual([]);
  });

  // `after` is the number of requests before the token expires, which is in the middle of the apply.
  it("token expires after a bucket was created: the state contains it, although the provider times out", async () => {
    await localAws.setFaults([{ operation: "s3:*", fault: "expired-token", after: 2 }]);
    const { status, output } = await run("apply", "-auto-approve", "-target=aws_s3_bucket.one");
    expect(status).toBe(1);
    expect(output).toContain("waiting for S3 Bucket (faults-of-a-bad-day) create: empty result");
    expect((await run("state", "list")).output).toContain("aws_s3_bucket.one");
    await localAws.setFaults([]);
    const destroy = await run("destroy", "-auto-approve");
    expect(destroy.status, destroy.output).toBe(0);
    expect(await localAws.inventory()).toEqual([]);
  });

  it.each([8, 16, 24])(
    "token expires after %i requests: reports the error, records all resources, and succeeds later",
    async (after) => {
      // The SDK treats EC2's RequestExpired as a clock error and retries it 25 times by default, which takes many
      // minutes: hashicorp/terraform-provider-aws#15618.
      write({ max_retries: 2 });
      await localAws.setFaults([{ operation: "*", fault: "expired-token", after }]);
      const { status, output } = await run("apply", "-auto-approve");
      expect(status, output).toBe(1);
      expect(output).toMatch(/token (included in the request is|has) expired|Request has expired/);
      await localAws.setFaults([]);
      const [exist, known] = [await localAws.inventory(), await run("state", "list")];
      expect(known.output.trim().split("\n").filter(Boolean).length, output).toBe(exist.length);
      const again = await run("apply", "-auto-approve");
      expect(again.status, again.output).toBe(0);
      expect((await localAws.inventory()).length).toBe(Object.keys(resources).length);
      const destroy = await run("destroy", "-auto-approve");
      expect(destroy.status, destroy.output).toBe(0);
      expect(await localAws.inventory()).toEqual([]);
    },
  );
});
