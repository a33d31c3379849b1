import { accessRule } from "./access.ts";
import { aiRegionsRule } from "./ai.ts";
import { queryLimitRule } from "./athena.ts";
import { auditRule } from "./audit.ts";
import { egressRule } from "./egress.ts";
import { endpointTimeoutRule } from "./endpoint-timeout.ts";
import { publicRule, trafficRule } from "./exposure.ts";
import { homeBackupRule } from "./home-backup.ts";
import { instanceLimitRule } from "./instance-limit.ts";
import { instanceTypesRule } from "./instance-types.ts";
import { lostRules } from "./lost.ts";
import { ownRules } from "./own.ts";
import { perimeterRule } from "./perimeter.ts";
import { permissionsRule, unknownPermissionsRule } from "./permissions.ts";
import { protectionRule } from "./protection.ts";
import { removedRule } from "./removed.ts";
import { retentionRule } from "./retention.ts";
import type { Rule } from "./rule.ts";
import { scheduleRightsRule } from "./schedule-rights.ts";
import { sharedRoleRule } from "./shared-role.ts";
import {
  lifecycleRule,
  profileInUseRule,
  refusedUpdateRule,
  removedImageRule,
  runningAppsRule,
} from "./studio.ts";

/** Every rule of this project, in the order of the review. Losses that cannot be undone come first. */
export const rules: readonly Rule[] = [
  removedRule,
  ...lostRules,
  retentionRule,
  homeBackupRule,
  auditRule,
  protectionRule,
  publicRule,
  permissionsRule,
  unknownPermissionsRule,
  sharedRoleRule,
  scheduleRightsRule,
  accessRule,
  queryLimitRule,
  trafficRule,
  perimeterRule,
  egressRule,
  instanceLimitRule,
  endpointTimeoutRule,
  instanceTypesRule,
  aiRegionsRule,
  refusedUpdateRule,
  profileInUseRule,
  runningAppsRule,
  removedImageRule,
  lifecycleRule,
];

/** The rules of this project, and then those of the team's folder. Throws a Problem for a rule that cannot be used. */
export const allRules = async (folder?: string): Promise<readonly Rule[]> => [
  ...rules,
  ...(await ownRules(
    rules.map(({ name }) => name),
    folder,
  )),
];
