import { environments } from "../../src/environments.ts";
import type { EnvironmentSettings } from "../../src/settings/types.ts";
import { type Synthesized, synthesize } from "../unit/synthesize.ts";

const userProfiles = [{ name: "ana" }, { name: "bo" }];

/** What a scanner has to see: the environments that are there, each egress with each sign-in, and what adds resources. */
export const everyEnvironment: readonly EnvironmentSettings[] = [
  ...environments,
  ...(["nat", "nat-per-zone", "endpoints-only"] as const).flatMap((egress) =>
    (["IAM", "SSO"] as const).map((authentication) => ({
      name: `${egress}-${authentication.toLowerCase()}`,
      egress,
      authentication,
      userProfiles,
    })),
  ),
  {
    name: "packages",
    egress: "endpoints-only",
    packageIndexUrl: "https://team-111122223333.d.codeartifact.us-east-1.amazonaws.com/pypi/python/simple/",
  },
  { name: "china", region: "cn-north-1", userProfiles: [] },
];

export const synthesizeEvery = (): ReadonlyMap<string, Synthesized> =>
  new Map(everyEnvironment.map((settings) => [settings.name, synthesize(settings)]));
