import { type Check, type Checks, checkList, checkParts, isRecord, isString, quote } from "./problems.ts";

/** A database of Amazon Redshift, which is queried with its Data API. It has `cluster` or `workgroupId`. */
export interface RedshiftGrant {
  /** Identifier of a provisioned cluster of the account. */
  readonly cluster?: string;
  /** ID of a serverless workgroup of the account: the end of its ARN, not its name. */
  readonly workgroupId?: string;
  /**
   * Name of the database. IAM holds queries of a cluster to it. It knows no databases of a workgroup: there, only the
   * database's own grants decide.
   */
  readonly database: string;
}

const types = "src/settings/redshift.ts";
const rules = {
  grants: {
    allowed: '1 to 20 databases, such as [{ cluster: "warehouse", database: "sales" }]',
    source: types,
  },
  where: { allowed: "either cluster or workgroupId", source: types },
  cluster: {
    allowed: "1 to 63 lower-case letters, digits and single inner hyphens, starting with a letter",
    source: "Amazon Redshift API, CreateCluster, ClusterIdentifier",
  },
  workgroupId: {
    allowed: 'the end of its ARN, such as "1234abcd-12ab-34cd-56ef-1234567890ab"',
    source: "Service Authorization Reference, Amazon Redshift Serverless: WorkgroupId",
  },
  database: {
    allowed:
      "1 to 127 lower-case letters, digits, hyphens and underscores, starting with a letter or underscore",
    source: 'Amazon Redshift Database Developer Guide, "Names and identifiers"',
  },
};

const named =
  (rule: (typeof rules)["cluster"], pattern: RegExp, problem: string): Check =>
  (value, report) => {
    if (isString(value, report, rule) && !pattern.test(value)) report(value, problem, rule);
  };

const checks: Checks<RedshiftGrant> = {
  cluster: named(rules.cluster, /^(?=.{1,63}$)[a-z](-?[a-z0-9])*$/, "is not the identifier of a cluster"),
  workgroupId: named(
    rules.workgroupId,
    /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/,
    "is not the ID of a workgroup",
  ),
  database: named(rules.database, /^[a-z_][a-z0-9_-]{0,126}$/, "is not the name of a database"),
};

export const checkRedshift: Check = (value, report, settings) => {
  const seen = new Set<string>();
  checkList(value, report, rules.grants, 1, 20, (grant, at) => {
    if (!isRecord(grant)) return at(grant, "is not a database of Redshift", rules.grants);
    checkParts({ ...grant, database: grant.database ?? "" }, checks, at, settings);
    const { cluster, database, workgroupId } = grant;
    if ((cluster === undefined) === (workgroupId === undefined))
      at(grant, `has ${cluster === undefined ? "neither" : "both"}`, rules.where);
    const place = quote([cluster, workgroupId, database]);
    if (seen.has(place)) at(grant, "is listed twice", rules.grants);
    seen.add(place);
  });
};
