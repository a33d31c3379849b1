import { readFileSync } from "node:fs";
import { join } from "node:path";
import { CreateRoleCommand, IAMClient } from "@aws-sdk/client-iam";
import { CreateBucketCommand, PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { projectFolder } from "../../../src/cli/paths.ts";
import type { LocalAws } from "../../../src/local-studio/local-aws.ts";
import { resolveEnvironment } from "../../../src/settings/environment.ts";
import { lockFileOf } from "../../../src/settings/locks.ts";
import { bucketPrefixes, checksums, folders, jobsJson, payloadPointer } from "../../../src/settings/names.ts";
import { checksumsOf, sha256 } from "../../../src/stack/storage/checksums.ts";
import { jobSettings } from "../job-settings.ts";

export const packages = resolveEnvironment({ name: "bench" });
export const bucket = "marimo-bench";
export const role = "arn:aws:iam::123456789012:role/bench";
const payloadHash = "0123012301230123";
export const payload = `${bucketPrefixes.payload}/${payloadHash}`;
export const sources = `${bucketPrefixes.shared}/${folders.jobSources}/0123`;

export interface Setup {
  readonly python: string;
  readonly localAws: LocalAws;
  readonly folder: string;
  readonly signal: AbortSignal;
}

/** Replaces run.sh, because a real notebook would take most of the time. Writes the result and a file. */
const trivial = `
output="$(cd "$(dirname "\${BASH_SOURCE[0]}")/../../../.." && pwd)/processing/output"
if [[ "\${2:-}" == --sleep=* ]]; then sleep "\${2#--sleep=}"; fi
sudo -n chmod -R a+rwX "$output"; mkdir "$output/files"
echo '{"exitStatus": 0, "seconds": {"packages": 0, "notebook": 0}}' > "$output/result.json"
printf 'square\\n%s\\n' "\${2#--n=}" > "$output/files/result.csv"
`;

const payloadFiles = {
  "job/row.sh": readFileSync(join(projectFolder, "src/space/payload/job/row.sh"), "utf8"),
  "job/run.sh": trivial,
  "requirements.txt": readFileSync(lockFileOf(packages), "utf8"),
};
export const payloadList = checksumsOf(
  Object.entries(payloadFiles).map(([path, text]) => ({ path, sha256: sha256(text) })),
);

/** Creates the bucket with the files of a job, and the role. */
export async function upload(localAws: LocalAws): Promise<void> {
  const s3 = new S3Client(localAws.clientSettings());
  await s3.send(new CreateBucketCommand({ Bucket: bucket }));
  for (const [Key, Body] of [
    ...Object.entries(payloadFiles).map(([path, text]) => [`${payload}/${path}`, text] as const),
    [`${payload}/${checksums}`, payloadList.text],
    [`${sources}/trivial.py`, "# run.sh replaces it\n"],
    [payloadPointer, `${payloadList.sha256}  ${payloadHash}\n`],
    [jobsJson, JSON.stringify(await jobSettings({ localAws, environment: "bench", bucket, roleArn: role }))],
  ] as const)
    await s3.send(new PutObjectCommand({ Bucket: bucket, Key, Body }));
  const trust = {
    Effect: "Allow",
    Principal: { Service: "sagemaker.amazonaws.com" },
    Action: "sts:AssumeRole",
  };
  await new IAMClient(localAws.clientSettings()).send(
    new CreateRoleCommand({
      RoleName: "bench",
      AssumeRolePolicyDocument: JSON.stringify({ Version: "2012-10-17", Statement: [trust] }),
    }),
  );
}
