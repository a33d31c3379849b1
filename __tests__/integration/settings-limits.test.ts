import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { beforeAll, describe, expect, it } from "vitest";
import { pythonEnvironment } from "../../src/local-studio/python-environment.ts";
import { studioInstanceTypes } from "../../src/settings/instance-types.ts";
import { sagemakerRegions } from "../../src/settings/regions.ts";

/** What botocore's own data says of the limits that the settings are checked against. */
const question = `
import json
from botocore.loaders import Loader
from botocore.session import Session

shapes = Loader().load_service_model("sagemaker", "service-2")["shapes"]
session = Session()
regions = {
    region
    for partition in session.get_available_partitions()
    for region in session.get_available_regions("sagemaker", partition)
}
print(json.dumps({
    "instanceTypes": shapes["AppInstanceType"]["enum"],
    "regions": sorted(regions),
    "idle": {key: shapes["IdleTimeoutInMinutes"][key] for key in ("min", "max")},
    "tagKey": shapes["TagKey"]["max"],
    "tagValue": shapes["TagValue"]["max"],
    "userProfileName": {key: shapes["UserProfileName"][key] for key in ("max", "pattern")},
    "lifecycleConfiguration": shapes["StudioLifecycleConfigContent"]["max"],
}))
`;

describe("the limits in src/settings", () => {
  let botocore: Record<string, unknown>;
  beforeAll(async () => {
    // The image's botocore is the one that the constants were taken from.
    const { python } = await pythonEnvironment("image");
    botocore = JSON.parse((await promisify(execFile)(python, ["-c", question])).stdout);
  });

  it("know every instance type of Studio's apps", () => {
    const types = (botocore.instanceTypes as string[]).filter((type) => type !== "system");
    expect([...studioInstanceTypes].sort()).toEqual(types.sort());
  });

  it("know every region of SageMaker", () => {
    expect([...sagemakerRegions].sort()).toEqual(botocore.regions);
  });

  it("are the numbers and patterns of SageMaker's service model", () => {
    expect(botocore).toMatchObject({
      idle: { min: 60, max: 525_600 },
      tagKey: 128,
      tagValue: 256,
      userProfileName: { max: 63, pattern: "[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}" },
      lifecycleConfiguration: 16_384,
    });
  });
});
