import { code, joinFirst } from "./markdown.ts";
import {
  after,
  before,
  changesOf,
  isDestroyed,
  type Plan,
  priorResources,
  type ResourceChange,
  text,
  valuesOf,
} from "./plan.ts";
import { policyAfter } from "./policy-document.ts";

/** Who a plan gives or takes what, in words. */
export interface AccessChange {
  readonly about: ResourceChange;
  /** `Everybody`, or a team with its members. */
  readonly who: string;
  readonly more: readonly string[];
  readonly less: readonly string[];
  /** Those of `more` that are a risk. */
  readonly risky: readonly string[];
}

interface Words {
  readonly text: string;
  readonly isRisky: boolean;
}

const list = (value: unknown) =>
  (Array.isArray(value) ? value : value === undefined ? [] : [value]).map(String);

/** What a statement of src/stack/access/statements.ts grants. The other statements say nothing more. */
function wordsOf(statement: Readonly<Record<string, unknown>>): readonly Words[] {
  const [, kind = "", account = ""] =
    /^(ReadObjects|ChangeObjects|ReadCatalog|ReadGrantedSecrets|QueryInOwnWorkgroup|SignInTo(?:Clusters|Workgroups)|ReadLakeFormation)(\d{12})?$/.exec(
      String(statement.Sid),
    ) ?? [];
  const owner = account === "" ? "" : ` of account ${account}`;
  const words = (resource: string): string | undefined => {
    const object = code(`s3://${resource.replace(/^arn:[^:]*:s3:::/, "")}`);
    switch (kind) {
      case "ReadObjects":
        return `read ${object}${owner}`;
      case "ChangeObjects":
        return `change and delete ${object}${owner}`;
      case "ReadCatalog": {
        const database = /:database\/(.+)$/.exec(resource)?.[1];
        return database && `read the tables of the Glue database ${code(database)}`;
      }
      case "ReadGrantedSecrets":
        return `read the secret ${code(resource.replace(/^.*:secret:/, "").replace(/-\?{6}$/, ""))}`;
      case "QueryInOwnWorkgroup":
        return "run queries with Amazon Athena, which charges for what they scan";
      case "SignInToClusters": {
        const [, cluster = "", database = ""] = /:dbname:([^/]+)\/(.+)$/.exec(resource) ?? [];
        return `send SQL to the database ${code(database)} of the Redshift cluster ${code(cluster)}`;
      }
      case "SignInToWorkgroups":
        return `send SQL to the Redshift workgroup ${code(resource.replace(/^.*:workgroup\//, ""))}`;
      case "ReadLakeFormation":
        return "read what AWS Lake Formation grants to their role";
      default:
        return undefined;
    }
  };
  // SQL writes where the database lets it, and Lake Formation's grants are not in the settings.
  const isRisky = account !== "" || !["ReadObjects", "ReadCatalog"].includes(kind);
  return list(statement.Resource).flatMap((resource) => {
    const found = words(resource);
    return found ? [{ text: found, isRisky }] : [];
  });
}

function grantsOf(policy: string | undefined): readonly Words[] {
  if (policy === undefined) return [];
  const { Statement } = JSON.parse(policy) as { Statement?: unknown };
  return (Array.isArray(Statement) ? Statement : [Statement]).map(valuesOf).flatMap(wordsOf);
}

/** The team of a policy that src/stack/access creates, an empty name for that of everybody. */
const teamOf = (name: unknown) => /^marimo-.+-(?:access$|team-(.+)$)/.exec(String(name));

/** `marimo-dev-user-ana` in words. */
const shortRole = (role: string) =>
  role.replace(/^marimo-.+-user-/, "").replace(/^marimo-.+-schedules-(team\.)?/, "schedules of ");

const rolesOf = (values: Readonly<Record<string, unknown>>) => list(values.roles ?? []);

export function accessChanges(plan: Plan): readonly AccessChange[] {
  const changes = changesOf(plan);
  const policies = changes.filter(({ type }) => type === "aws_iam_policy");
  const attachments = changes.filter(({ type }) => type === "aws_iam_policy_attachment");
  const prior = (type: string, name: unknown) =>
    priorResources(plan, type).find(({ values }) => values?.name === name)?.values ?? {};
  const ofPolicies = policies.flatMap((about) => {
    const name = text(after(about).name) ?? text(before(about).name);
    const match = teamOf(name);
    if (match === null) return [];
    const old = grantsOf(text(before(about).policy));
    const now = isDestroyed(about) && !after(about).name ? [] : grantsOf(policyAfter(plan, about, "policy"));
    const attachment = attachments.find((one) => (after(one).name ?? before(one).name) === name);
    const values = { ...prior("aws_iam_policy_attachment", name), ...(attachment && after(attachment)) };
    const members = rolesOf(values).map(shortRole);
    const who = match[1] === undefined ? "Everybody" : `Team ${code(match[1])} (${joinFirst(members, 10)})`;
    return changeOf(about, who, old, now);
  });
  const ofMembers = attachments.flatMap((about) => {
    const name = text(after(about).name);
    const team = teamOf(name)?.[1];
    if (team === undefined || about.change.before === null) return [];
    const policy = policies.find((one) => after(one).name === name);
    const document = policy
      ? policyAfter(plan, policy, "policy")
      : text(prior("aws_iam_policy", name).policy);
    const grants = grantsOf(document);
    const [old, now] = [rolesOf(before(about)), rolesOf(after(about))];
    return [
      ...now
        .filter((role) => !old.includes(role))
        .flatMap((role) => changeOf(about, `${shortRole(role)}, in team ${code(team)},`, [], grants)),
      ...old
        .filter((role) => !now.includes(role))
        .flatMap((role) =>
          changeOf(about, `${shortRole(role)}, no longer in team ${code(team)},`, grants, []),
        ),
    ];
  });
  return [...ofPolicies, ...ofMembers];
}

function changeOf(
  about: ResourceChange,
  who: string,
  old: readonly Words[],
  now: readonly Words[],
): readonly AccessChange[] {
  const without = (some: readonly Words[], others: readonly Words[]) =>
    some.filter((one) => !others.some((other) => other.text === one.text));
  const [more, less] = [without(now, old), without(old, now)];
  if (more.length + less.length === 0) return [];
  const texts = (words: readonly Words[]) => words.map((one) => one.text);
  return [
    { about, who, more: texts(more), less: texts(less), risky: texts(more.filter((one) => one.isRisky)) },
  ];
}

/** One Markdown list item for each change. */
export const accessLines = (changes: readonly AccessChange[]): readonly string[] =>
  changes.flatMap(({ who, more, less }) => [
    ...(more.length > 0 ? [`- ${who} can now ${joinFirst(more, 20)}.`] : []),
    ...(less.length > 0 ? [`- ${who} can no longer ${joinFirst(less, 20)}.`] : []),
  ]);
