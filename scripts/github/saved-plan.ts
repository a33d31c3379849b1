import { createHash } from "node:crypto";
import { GetObjectCommand, PutObjectCommand, S3Client, S3ServiceException } from "@aws-sdk/client-s3";
import { Problem } from "../../src/local-studio/problem.ts";
import type { ResolvedEnvironment } from "../../src/settings/types.ts";
import { planAgain, type ReviewedPlan } from "./comment.ts";

type StateBackend = Extract<ResolvedEnvironment["backend"], { readonly type: "s3" }>;

/** Where an environment's state is for everyone: a Problem where it is a file on somebody's machine. */
export function stateBackend({ name, backend }: ResolvedEnvironment): StateBackend {
  if (backend.type === "s3") return backend;
  throw new Problem({
    message: `The environment "${name}" has its state in a local file, which a GitHub runner does not have.`,
    remedy: 'set backend: { type: "s3", bucket: "…" } in src/environments.ts',
  });
}

export const sha256 = (content: Uint8Array): string => createHash("sha256").update(content).digest("hex");

/** A plan holds all of the state, secrets too, so it stays where the state is, and never becomes an artifact of the run. */
const keyOf = (backend: StateBackend, { tree, sha256: hash }: ReviewedPlan) =>
  `${backend.key}.plans/${tree}/${hash}.tfplan`;

/** Addresses of objects as whoever sets AWS_ENDPOINT_URL needs them; to AWS, the SDK's own. */
const client = ({ region }: StateBackend) =>
  new S3Client({ region, forcePathStyle: process.env.AWS_ENDPOINT_URL !== undefined });

/** Saves a plan under its hash; what is there already cannot be written over. */
export async function savePlan(
  backend: StateBackend,
  plan: ReviewedPlan,
  content: Uint8Array,
): Promise<void> {
  const { bucket: Bucket, kmsKeyId } = backend;
  const encryption = kmsKeyId === undefined ? {} : { SSEKMSKeyId: kmsKeyId };
  try {
    await client(backend).send(
      new PutObjectCommand({
        ...{ Bucket, Key: keyOf(backend, plan), Body: content, IfNoneMatch: "*" },
        ...{ ServerSideEncryption: kmsKeyId === undefined ? "AES256" : "aws:kms", ...encryption },
      }),
    );
  } catch (error) {
    // The same plan, from a job that ran again.
    if (error instanceof S3ServiceException && error.name === "PreconditionFailed") return;
    throw error;
  }
}

/** The plan that was reviewed, and no other: a Problem where it is gone, or is not what its hash says. */
export async function loadPlan(backend: StateBackend, plan: ReviewedPlan): Promise<Uint8Array> {
  const [Bucket, Key] = [backend.bucket, keyOf(backend, plan)];
  let content: Uint8Array | undefined;
  try {
    const { Body } = await client(backend).send(new GetObjectCommand({ Bucket, Key }));
    content = await Body?.transformToByteArray();
  } catch (error) {
    if (!(error instanceof S3ServiceException) || error.name !== "NoSuchKey") throw error;
  }
  if (content !== undefined && sha256(content) === plan.sha256) return content;
  throw new Problem({
    message: `s3://${Bucket}/${Key} ${content === undefined ? "is not there" : "is not the plan that was reviewed"}: nothing was applied.`,
    remedy: planAgain,
  });
}
