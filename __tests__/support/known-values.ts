import { createHash } from "node:crypto";
import { partitionOf } from "../../src/settings/reference/regions.ts";

export type Block = Readonly<Record<string, unknown>>;
export type Blocks = Readonly<Record<string, Readonly<Record<string, Block>>>>;

/** The part of a stack's JSON that is used here. */
export interface StackJson {
  readonly terraform: Block;
  readonly provider: {
    readonly aws: readonly {
      readonly region: string;
      readonly default_tags: readonly { readonly tags: Readonly<Record<string, string>> }[];
    }[];
  };
  readonly resource: Blocks;
  readonly data: Blocks;
  readonly locals: Block;
  readonly output: Readonly<Record<string, Block>>;
}

export interface Each {
  readonly key: string;
  readonly value: unknown;
}

export interface Instance {
  readonly address: string;
  readonly block: Block;
  readonly each: Each | undefined;
}

export const isBlock = (value: unknown): value is Block =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const accountId = "111122223333";
/** The longest suffix of the partitions with Studio. */
const dnsSuffix = "amazonaws.com.cn";

/** Example ids of AWS, by Terraform type and attribute. */
const ids: Readonly<Record<string, string | number>> = {
  "aws_kms_key.key_id": "1234abcd-12ab-34cd-56ef-1234567890ab",
  "aws_sagemaker_domain.id": "d-abcdefghijkl",
  "aws_sagemaker_image_version.version": 1,
  "aws_security_group.id": "sg-0123456789abcdef0",
  "aws_subnet.id": "subnet-0123456789abcdef0",
  "aws_vpc.id": "vpc-0123456789abcdef0",
  "aws_vpc_endpoint.id": "vpce-0123456789abcdef0",
};

/** ARNs without partition, by Terraform type. The attributes in the ARN are in braces. */
const arns: Readonly<Record<string, string>> = {
  aws_bedrock_inference_profile: "bedrock:{region}:{account}:application-inference-profile/abcd1234efgh",
  aws_cloudwatch_log_group: "logs:{region}:{account}:log-group:{name}",
  aws_iam_policy: "iam::{account}:policy/{name}",
  aws_iam_role: "iam::{account}:role/{name}",
  aws_kms_key: "kms:{region}:{account}:key/1234abcd-12ab-34cd-56ef-1234567890ab",
  aws_s3_bucket: "s3:::{bucket}",
  aws_scheduler_schedule_group: "scheduler:{region}:{account}:schedule-group/{name}",
  aws_sfn_state_machine: "states:{region}:{account}:stateMachine:{name}",
  aws_sns_topic: "sns:{region}:{account}:{name}",
  aws_sqs_queue: "sqs:{region}:{account}:{name}",
  aws_sagemaker_studio_lifecycle_config:
    "sagemaker:{region}:{account}:studio-lifecycle-config/{studio_lifecycle_config_name}",
};

/**
 * Resolves the expressions in a stack's strings: references become the values of their target in the JSON, and values
 * that AWS assigns become examples of the same format and length. An unknown value is an error.
 */
export class KnownValues {
  readonly region: string;
  private readonly partition: string;

  constructor(
    readonly stack: StackJson,
    /** Reads a file in the stack's folder. */
    private readonly readFile: (path: string) => string,
  ) {
    this.region = stack.provider.aws[0]?.region ?? "";
    this.partition = partitionOf(this.region) ?? "";
  }

  /** Returns every resource of a type, one for each key of its `for_each`. */
  instances(type: string): readonly Instance[] {
    return Object.entries(this.stack.resource[type] ?? {}).flatMap(([id, block]): readonly Instance[] => {
      const address = `${type}.${id}`;
      if (block.for_each === undefined) return [{ address, block, each: undefined }];
      const over = this.valueOf(block.for_each, undefined);
      if (!isBlock(over)) throw new Error(`${address}: ${JSON.stringify(over)} is not a map`);
      return Object.entries(over).map(([key, value]) => ({
        address: `${address}["${key}"]`,
        block,
        each: { key, value },
      }));
    });
  }

  /** Resolves every expression in a value of the JSON. */
  valueOf(value: unknown, each: Each | undefined): unknown {
    if (Array.isArray(value)) return value.map((item) => this.valueOf(item, each));
    if (isBlock(value)) {
      return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, this.valueOf(item, each)]));
    }
    if (typeof value !== "string") return value;
    // The trust policies of the users' roles: one document, with the user's name put into it.
    const replaced = /^\$\{replace\(([\w.-]+), "([^"]*)", "([^"]*)"\)\}$/.exec(value);
    if (replaced) {
      const [, whole = "", from = "", to] = replaced;
      return String(this.expression(whole, each)).replaceAll(from, String(this.valueOf(to, each)));
    }
    // The tags of the users' roles: what a local adds for some of them.
    const merged = /^\$\{merge\(\{"(\w+)" = (.+?)\}, lookup\(local\.([\w-]+), (.+?), \{\}\)\)\}$/.exec(value);
    if (merged) {
      const [, own = "", ownValue = "", local = "", key = ""] = merged;
      const added = this.local(local) as Readonly<Record<string, Block>>;
      return {
        [own]: this.expression(ownValue, each),
        ...added[String(this.expression(key, each))],
      };
    }
    // What a local has for some users only.
    const found = /^\$\{lookup\(local\.([\w-]+), (.+?), (.+?)\)\}$/.exec(value);
    if (found) {
      const [, local = "", key = "", otherwise = ""] = found;
      const some = this.local(local) as Block;
      const one = String(this.expression(key, each));
      return Object.hasOwn(some, one) ? some[one] : this.expression(otherwise, each);
    }
    const whole = /^\$\{([^}]*)\}$/.exec(value)?.[1];
    if (whole !== undefined) return this.expression(whole, each);
    return value.replaceAll(/(\$?)\$\{([^}]*)\}/g, (_, escaped: string, expression: string) =>
      escaped === "" ? String(this.expression(expression, each)) : `\${${expression}}`,
    );
  }

  private expression(expression: string, each: Each | undefined): unknown {
    if (expression === "path.module") return ".";
    // The name of an inference profile.
    const [, model, owner] =
      /^substr\(sha256\(join\(" ", \["([^"]*)", (.*)\]\)\), 0, 16\)$/.exec(expression) ?? [];
    if (owner !== undefined) {
      const text = owner.startsWith('"') ? JSON.parse(owner) : this.expression(owner, each);
      return createHash("sha256").update(`${model} ${text}`).digest("hex").slice(0, 16);
    }
    // The tag that a user's budget counts.
    const [, tag, user] = /^join\("\$", \["([^"]*)", (.*)\]\)$/.exec(expression) ?? [];
    if (user !== undefined) return `${tag}$${this.expression(user, each)}`;
    const lower = /^lower\((.*)\)$/.exec(expression)?.[1];
    if (lower !== undefined) return String(this.expression(lower, each)).toLowerCase();
    // The script of a lifecycle configuration.
    const script =
      /^base64encode\(join\("\\n", \[local\.([\w-]+), file\(local\.([\w-]+)\), file\(local\.([\w-]+)\)\]\)\)$/.exec(
        expression,
      );
    if (script) {
      const [header, ...paths] = script.slice(1).map((name) => String(this.local(name)));
      return Buffer.from([header, ...paths.map(this.readFile)].join("\n")).toString("base64");
    }
    const [head = "", ...path] = expression.replaceAll(/\[each\.key\]|\[0\]/g, "").split(".");
    if (head === "local" && path.length === 1) {
      // An attribute of each instance by its key.
      const local = String(this.stack.locals[path[0] ?? ""]);
      const [, of, attribute] =
        /^\$\{\{ for key, val in ([\w.-]+): key => val\.(\w+) \}\}$/.exec(local) ?? [];
      return of === undefined ? this.local(path[0] ?? "") : this.expression(`${of}.${attribute}`, each);
    }
    if (head === "each" && each !== undefined && path[0] === "key") return each.key;
    if (head === "each" && each !== undefined && path[0] === "value") {
      return path
        .slice(1)
        .reduce<unknown>((value, key) => (isBlock(value) ? value[key] : undefined), each.value);
    }
    if (head === "data") return this.data(expression, path as [string, string, string]);
    const [name = "", attribute = ""] = path;
    const block = this.stack.resource[head]?.[name];
    if (block === undefined) throw new Error(`\${${expression}} is not in the stack`);
    const known =
      block[attribute] === undefined ? this.given(head, attribute, block, each) : block[attribute];
    if (known === undefined) throw new Error(`\${${expression}} is not known before an apply`);
    return this.valueOf(known, each);
  }

  private local(name: string): unknown {
    if (!(name in this.stack.locals)) throw new Error(`local.${name} is not in the stack`);
    return this.valueOf(this.stack.locals[name], undefined);
  }

  private data(expression: string, [type, name, attribute]: readonly [string, string, string]): unknown {
    const block = this.stack.data[type]?.[name];
    if (block !== undefined) {
      const answers: Readonly<Record<string, () => string>> = {
        "aws_caller_identity.account_id": () => accountId,
        "aws_partition.partition": () => this.partition,
        "aws_partition.dns_suffix": () => dnsSuffix,
        "aws_partition.reverse_dns_prefix": () => dnsSuffix.split(".").reverse().join("."),
        "aws_service_principal.name": () => `${block.service_name}.${this.region}.${dnsSuffix}`,
        "aws_iam_policy_document.json": () => JSON.stringify(this.policyDocument(block)),
        "aws_s3_bucket.id": () => String(this.valueOf(block.bucket, undefined)),
      };
      const answer = answers[`${type}.${attribute}`];
      if (answer) return answer();
      // An existing resource: the attribute that identifies it, or an example like that of a created resource.
      const known = block[attribute] ?? this.given(type, attribute, block, undefined);
      if (known !== undefined) return this.valueOf(known, undefined);
    }
    throw new Error(`\${${expression}} is not known before an apply`);
  }

  private given(
    type: string,
    attribute: string,
    block: Block,
    each: Each | undefined,
  ): string | number | undefined {
    const arn = attribute === "arn" ? arns[type] : undefined;
    const filled = arn?.replaceAll(/\{(\w+)\}/g, (_, name: string) => {
      if (name === "region") return this.region;
      return name === "account" ? accountId : String(this.valueOf(block[name], each));
    });
    return filled === undefined ? ids[`${type}.${attribute}`] : `arn:${this.partition}:${filled}`;
  }

  /** Formats a document like the data source `aws_iam_policy_document`, which uses `&{` for IAM's `${`. */
  private policyDocument(block: Block): unknown {
    const list = (value: unknown) => {
      const values = [value].flat().map((one) => String(this.valueOf(one, undefined)).replaceAll("&{", "${"));
      return values.length === 1 ? values[0] : values;
    };
    const statements = (block.statement as readonly Block[]).map((statement) => ({
      Sid: statement.sid,
      Effect: statement.effect ?? "Allow",
      ...listsOf(
        statement,
        ["actions", "Action"],
        ["resources", "Resource"],
        ["not_resources", "NotResource"],
      ),
      ...(statement.principals === undefined
        ? {}
        : {
            Principal: Object.fromEntries(
              (statement.principals as readonly Block[]).map(({ type, identifiers }) => [
                type,
                list(identifiers),
              ]),
            ),
          }),
      ...(statement.condition === undefined
        ? {}
        : { Condition: conditions(statement.condition as readonly Block[]) }),
    }));
    return { Version: "2012-10-17", Statement: statements };

    function listsOf(statement: Block, ...names: readonly (readonly [string, string])[]) {
      return Object.fromEntries(
        names.flatMap(([from, to]) => (statement[from] === undefined ? [] : [[to, list(statement[from])]])),
      );
    }
    function conditions(all: readonly Block[]) {
      const byTest: Record<string, Record<string, unknown>> = {};
      for (const { test, variable, values } of all) {
        byTest[String(test)] = { ...byTest[String(test)], [String(variable)]: list(values) };
      }
      return byTest;
    }
  }
}
