import { DataAwsIamPolicyDocument } from "@cdktf/provider-aws/lib/data-aws-iam-policy-document/index.js";
import { IamRole } from "@cdktf/provider-aws/lib/iam-role/index.js";
import { SchedulerScheduleGroup } from "@cdktf/provider-aws/lib/scheduler-schedule-group/index.js";
import {
  Fn,
  type ITerraformDependable,
  type MapTerraformIterator,
  TerraformIterator,
  TerraformLocal,
  Token,
} from "cdktf";
import { Construct } from "constructs";
import { awsNames, teamTags, userTag } from "../../settings/names.ts";
import type { UserTypes } from "../../settings/team-types.ts";
import { attributeOfEach } from "../support/attribute-of-each.ts";
import type { AwsAccount } from "../support/aws-account.ts";
import { checkPrefix } from "../support/prefix.ts";
import { noInlinePolicies } from "./inline-policies.ts";
import { sagemakerStatement, serviceTrust } from "./service-trust.ts";

export interface UserRolesProps {
  /** Name prefix of the roles and schedule groups. Limit: see `checkPrefix`. */
  readonly prefix: string;
  readonly account: AwsAccount;
  /** The names of the user profiles are its keys. */
  readonly userProfiles: MapTerraformIterator;
  /** What teams add to the instance types of jobs, by the names of users in lower case. @default nothing */
  readonly userTypes?: ReadonlyMap<string, UserTypes> | undefined;
  /** Policies that AWS may attach later, and that must outlive the roles in a destroy. */
  readonly attachedByOthers: readonly ITerraformDependable[];
}

/**
 * A role for each user, with the tag `StudioUser`, and a schedule group of the same name. Their private spaces run as it,
 * and so do their jobs, sweeps and schedules: in S3, SageMaker and CloudTrail each user is a principal of their own. The
 * policies are the same for all: `&{aws:PrincipalTag/StudioUser}` in them stands for the user (IAM User Guide, "IAM
 * policy elements: Variables and tags"; a role's tags are principal tags of all its sessions).
 */
export class UserRoles extends Construct {
  /** List of the roles' names. */
  readonly names: readonly string[];
  /** ARN of the role of the user whose name is the key of the resource that uses it. */
  readonly arnOfEach: string;
  readonly role: IamRole;

  constructor(scope: Construct, id: string, props: UserRolesProps) {
    super(scope, id);
    const { account, attachedByOthers, prefix, userProfiles } = props;
    checkPrefix(this, prefix);
    // SageMaker writes names in lower case into its ARNs, so roles, tags and groups have them in lower case too.
    const user = Fn.lower(userProfiles.key);
    const nameOf = (one: string) => awsNames(prefix).user(one);
    const group = (one: string) => account.arn("scheduler", `schedule-group/${nameOf(one)}`);
    // No user is named so: names in lower case are put in its place.
    const placeholder = "USER";
    const trust = new DataAwsIamPolicyDocument(this, "trust", {
      statement: [
        sagemakerStatement(account),
        serviceTrust({
          sid: "Scheduler",
          account,
          service: account.servicePrincipal("scheduler"),
          // The group, and not a schedule (EventBridge Scheduler User Guide, "Confused deputy prevention").
          sourceArn: group(placeholder),
        }),
      ],
    });
    new SchedulerScheduleGroup(this, "schedules", { forEach: userProfiles, name: nameOf(user) });
    const tags = { [userTag]: user };
    const ofTeams = new Map([...(props.userTypes ?? [])].map(([name, types]) => [name, tagsOfTeams(types)]));
    this.role = new IamRole(this, "role", {
      forEach: userProfiles,
      name: nameOf(user),
      description: `Spaces, jobs and schedules of ${userProfiles.key}`,
      assumeRolePolicy: Fn.replace(trust.json, nameOf(placeholder), nameOf(user)),
      inlinePolicy: noInlinePolicies,
      tags:
        ofTeams.size === 0
          ? tags
          : Token.asStringMap(
              Fn.merge([
                tags,
                Fn.lookup(
                  new TerraformLocal(this, "team_tags", Object.fromEntries(ofTeams)).asAnyMap,
                  user,
                  {},
                ),
              ]),
            ),
      // Terraform deletes the role of a removed user before it changes the policies' attachments.
      forceDetachPolicies: true,
      ...(attachedByOthers.length === 0 ? {} : { dependsOn: [...attachedByOthers] }),
    });
    this.arnOfEach = attributeOfEach(this.role, "arn", userProfiles);
    this.names = Token.asList(TerraformIterator.fromResources(this.role).pluckProperty("name"));
  }
}

/** Names of teams have no spaces, and 10 of them fit a tag's 256 characters. */
const tagsOfTeams = ({ instanceTypes, teams }: UserTypes): Readonly<Record<string, string>> => ({
  [teamTags.teams]: teams.join(" "),
  ...Object.fromEntries(instanceTypes.map((type, index) => [teamTags.instanceTypes[index], type])),
});
