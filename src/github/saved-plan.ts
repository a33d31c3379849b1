import { createHash } from "node:crypto";
import { GetObjectCommand, PutObjectCommand, S3Client, S3ServiceException } from "@aws-sdk/client-s3";
import { Problem } from "../cli/problem.ts";
import type { ResolvedEnvironment } from "../settings/environment.ts";

/** Identifies a saved plan. */
export interface SavedPlan {
  /** The workflow run that made it. */
  readonly runId: string;
  readonly sha256: string;
}

export const planAgain = "run the workflow Deploy again on the main branch: it plans what is there now";

type StateBackend = Extract<ResolvedEnvironment["backend"], { readonly type: "s3" }>;

/** The S3 backend of an environment's state. Throws a Problem for a local state file. */
export function stateBackend({ name, backend }: ResolvedEnvironment): StateBackend {
  if (backend.type === "s3") return backend;
  throw new Problem({
    message: `The state of the environment "${name}" is a local file, which a GitHub runner cannot read.`,
    remedy: 'set backend: { type: "s3", bucket: "…" } in src/environments.ts',
  });
}

export const sha256 = (content: Uint8Array): string => createHash("sha256").update(content).digest("hex");

/**
 * A plan contains the state with its secrets. It is saved next to the state, not as an artifact of the workflow run.
 */
const keyOf = (backend: StateBackend, { runId, sha256: hash }: SavedPlan) =>
  `${backend.key}.plans/${runId}/${hash}.tfplan`;

/** The local AWS of AWS_ENDPOINT_URL needs path-style URLs. */
const client = ({ region }: StateBackend) =>
  new S3Client({ region, forcePathStyle: process.env.AWS_ENDPOINT_URL !== undefined });

/** Saves a plan under its hash. An existing object is never overwritten. */
export async function savePlan(backend: StateBackend, plan: SavedPlan, content: Uint8Array): Promise<void> {
  const { bucket: Bucket, kmsKeyId } = backend;
  try {
    await client(backend).send(
      new PutObjectCommand({
        ...{ Bucket, Key: keyOf(backend, plan), Body: content, IfNoneMatch: "*" },
        ServerSideEncryption: kmsKeyId === undefined ? "AES256" : "aws:kms",
        SSEKMSKeyId: kmsKeyId,
      }),
    );
  } catch (error) {
    // The plan was saved by an earlier run of the same job.
    if (error instanceof S3ServiceException && error.name === "PreconditionFailed") return;
    throw error;
  }
}

/** Loads a plan. Throws a Problem if it does not exist or its hash is different. */
export async function loadPlan(backend: StateBackend, plan: SavedPlan): Promise<Uint8Array> {
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
    message: `s3://${Bucket}/${Key} ${content === undefined ? "does not exist" : "is not the reviewed plan"}: nothing was applied.`,
    remedy: planAgain,
  });
}
