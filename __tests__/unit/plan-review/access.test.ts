import { describe, expect, it } from "vitest";
import { accessChanges, accessLines } from "../../../src/plan-review/access.ts";
import { report } from "../../../src/plan-review/report.ts";
import { change, plan, review, risksOf } from "../../support/plan-fixture.ts";

const statement = (Sid: string, ...Resource: string[]) => ({ Sid, Effect: "Allow", Action: "x:Y", Resource });
const policy = (name: string, ...statements: object[]) => ({
  ...{ name, arn: `arn:aws:iam::123456789012:policy/${name}` },
  policy: JSON.stringify({ Version: "2012-10-17", Statement: statements }),
});
const at = "aws_iam_policy.teams_forecasting_policy";
const attachmentAt = "aws_iam_policy_attachment.teams_forecasting_attachment";
const team = "marimo-dev-team-forecasting";
const attachment = (...roles: string[]) => ({ name: team, policy_arn: "arn:team", roles });
const read = statement("ReadObjects", "arn:aws:s3:::acme-lake/curated/*");
const lines = (...of: Parameters<typeof plan>) => accessLines(accessChanges(plan(...of)));
const added = (...statements: object[]) => change(at, policy(team, read), policy(team, read, ...statements));
const members = {
  [attachmentAt]: attachment("marimo-dev-user-ana", "marimo-dev-schedules-team.forecasting"),
};

describe("a grant in a plan", () => {
  it("is said in words, with those who get it", () => {
    const tables = statement(
      "ReadCatalog",
      "arn:aws:glue:us-east-1:1:catalog",
      "arn:aws:glue:us-east-1:1:database/sales",
    );
    expect(lines([added(tables)], members)).toEqual([
      "- Team `forecasting` (ana; schedules of forecasting) can now read the tables of the Glue database `sales`.",
    ]);
    expect(
      lines(
        [added(statement("QueryInOwnWorkgroup", "arn:a"), statement("QueryInSharedWorkgroup", "arn:b"))],
        members,
      ),
    ).toEqual([
      expect.stringMatching(/\) can now run queries with Amazon Athena, which charges for what they scan\.$/),
    ]);
    expect(
      lines([change("aws_iam_policy.execution_access_policy", policy("marimo-dev-access", read), null)]),
    ).toEqual(["- Everybody can no longer read `s3://acme-lake/curated/*`."]);
    const workgroup = "arn:aws:redshift-serverless:us-east-1:1:workgroup/1234abcd";
    expect(
      lines([
        added(
          statement("SignInToClusters", "arn:aws:redshift:us-east-1:1:dbname:warehouse/sales"),
          statement("SignInToWorkgroups", workgroup),
          statement("QueryRedshift", workgroup),
          statement("ReadLakeFormation", "*"),
        ),
      ]),
    ).toEqual([
      expect.stringContaining(
        "can now send SQL to the database `sales` of the Redshift cluster `warehouse`; " +
          "send SQL to the Redshift workgroup `1234abcd`; read what AWS Lake Formation grants to their role.",
      ),
    ]);
    expect(report("dev", review(plan([added(tables)])))).toContain("## Who can do what");
    expect(
      lines([change("aws_iam_policy.other", policy("marimo-dev-jobs"), policy("marimo-dev-jobs", read))]),
    ).toEqual([]);
  });

  it.each([
    ["writes", statement("ChangeObjects", "arn:aws:s3:::acme-out/*")],
    ["is of another account", statement("ReadObjects999988887777", "arn:aws:s3:::lake/*")],
    [
      "costs money",
      statement("QueryInOwnWorkgroup", "arn:aws:athena:us-east-1:1:workgroup/marimo-dev-user-x"),
    ],
    ["is SQL", statement("SignInToClusters", "arn:aws:redshift:us-east-1:1:dbname:warehouse/sales")],
    ["is Lake Formation's", statement("ReadLakeFormation", "*")],
    ["is a secret", statement("ReadGrantedSecrets", "arn:aws:secretsmanager:us-east-1:1:secret:marimo/*")],
  ])("is a risk if it %s", (_, risky) => {
    const name = "data-access:teams_forecasting_policy";
    expect(risksOf([change(at, null, policy(team, risky))])).toEqual([name]);
    expect(risksOf([added(risky)])).toContain(name);
    expect(risksOf([change(at, policy(team, read, risky), policy(team, read))])).not.toContain(name);
    expect(risksOf([change(at, null, policy(team, read))])).toEqual([]);
  });

  it("comes to a new member, and goes from one who leaves", () => {
    const secret = statement(
      "ReadGrantedSecrets",
      "arn:aws:secretsmanager:us-east-1:1:secret:warehouse-??????",
    );
    const there = { [at]: policy(team, read, secret) };
    const moved = change(attachmentAt, attachment("marimo-dev-user-ana"), attachment("marimo-dev-user-bo"));
    expect(lines([moved], there)).toEqual([
      expect.stringContaining(
        "- bo, in team `forecasting`, can now read `s3://acme-lake/curated/*`; read the secret `warehouse`.",
      ),
      expect.stringContaining("- ana, no longer in team `forecasting`, can no longer read"),
    ]);
    expect(risksOf([moved], there)).toContain("data-access:teams_forecasting_attachment");
  });
});
