import { extname } from "node:path";
import { S3Object, type S3ObjectConfig } from "@cdktf/provider-aws/lib/s3-object/index.js";
import { type ITerraformDependable, TerraformIterator, TerraformLocal, TerraformStack } from "cdktf";
import { Construct } from "constructs";
import { bucketPrefixes, checksums, payloadPointer } from "../../settings/names.ts";
import { pathOfModule } from "../support/path-of-module.ts";
import { addFile } from "../support/stack-file.ts";
import type { EnvironmentBucket } from "./artifact-bucket.ts";
import type { VerifiedFolder } from "./checksums.ts";
import { type PayloadSource, readPayload } from "./payload-content.ts";

const contentTypes: Readonly<Record<string, string>> = {
  ".py": "text/x-python",
  ".sh": "text/x-shellscript",
  ".tar": "application/x-tar",
};

/** Of a file of the payload, beside the stack's JSON. */
const pathOf = (sha256: string) => `payload/${sha256}`;

/** What every object of the stack has. */
export const encryptedObject = (encryptionKeyArn: string) =>
  ({
    serverSideEncryption: "aws:kms",
    kmsKeyId: encryptionKeyArn,
    // S3 takes ten tags an object, and a team may have set more: the bucket carries them.
    overrideProvider: { defaultTags: { tags: {} } },
  }) satisfies Partial<S3ObjectConfig>;

export interface PayloadProps {
  readonly source: PayloadSource;
  /** A bucket with versions, such as `ArtifactBucket`. */
  readonly bucket: EnvironmentBucket;
  /** KMS key of the bucket. */
  readonly encryptionKeyArn: string;
}

/** Uploads what the spaces fetch at each start: a version of its own for each change, then the pointer to it. */
export class Payload extends Construct {
  /** The last object written: a resource that depends on it finds the payload complete. */
  readonly pointer: ITerraformDependable;
  /** This version's. */
  readonly folder: VerifiedFolder;

  constructor(scope: Construct, id: string, props: PayloadProps) {
    super(scope, id);
    const payload = readPayload(props.source);
    const { hash, sha256 } = payload.checksums;
    this.folder = { prefix: `${bucketPrefixes.payload}/${hash}`, sha256 };
    const common = {
      bucket: props.bucket.name,
      ...encryptedObject(props.encryptionKeyArn),
    };
    const key = (path: string) => `${this.folder.prefix}/${path}`;

    const stack = TerraformStack.of(this);
    for (const { sha256, content } of payload.files) addFile(stack, pathOf(sha256), content);

    // A new version is a new key, hence a new object; the old ones go only once the pointer has moved.
    const files = TerraformIterator.fromMap(
      new TerraformLocal(
        this,
        "files",
        Object.fromEntries(
          payload.files.map(({ path, sha256 }) => [
            path,
            { sha256, content_type: contentTypes[extname(path)] ?? "application/octet-stream" },
          ]),
        ),
      ).asAnyMap,
    );
    const uploaded = new S3Object(this, "file", {
      ...common,
      forEach: files,
      key: key(files.key),
      source: pathOfModule(stack, pathOf(files.getString("sha256"))),
      sourceHash: files.getString("sha256"),
      contentType: files.getString("content_type"),
      lifecycle: { createBeforeDestroy: true },
      dependsOn: [...props.bucket.ready],
    });

    const texts = TerraformIterator.fromMap({
      ...Object.fromEntries(
        Object.entries(payload.generated).map(([path, content]) => [path, literal(content)]),
      ),
      [checksums]: literal(payload.checksums.text),
    });
    const generated = new S3Object(this, "generated", {
      ...common,
      forEach: texts,
      key: key(texts.key),
      content: texts.value,
      contentType: "text/plain",
      lifecycle: { createBeforeDestroy: true },
      dependsOn: [...props.bucket.ready],
    });

    this.pointer = new S3Object(this, "current", {
      ...common,
      key: payloadPointer,
      content: literal(payload.pointer),
      contentType: "text/plain",
      dependsOn: [uploaded, generated],
    });
  }
}

/** Text that Terraform takes as it is: `${` and `%{` would begin its own templates. */
export function literal(text: string): string {
  return text.replaceAll(/([$%])\{/g, "$1$1{");
}
