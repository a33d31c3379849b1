import { basicDefaults } from "./basics.ts";
import { hasOwnNetwork } from "./existing-lookup.ts";
import {
  type Check,
  type Checks,
  checkBoolean,
  checkList,
  checkParts,
  isRecord,
  isString,
  isWhole,
  nearest,
  type Report,
  type Untyped,
} from "./problems.ts";
import { typesOf } from "./reference/instance-types.ts";
import { isRegion } from "./reference/regions.ts";
import { endpointInstanceSizes } from "./reference/sagemaker-lists.ts";

/** SageMaker's services beside jobs. Training, transform jobs, models and the model registry need no setting. */
export interface ServiceSettings {
  /**
   * Whether users can deploy models to serverless endpoints. Their containers have no VPC (SageMaker Developer Guide,
   * "Deploy models with Amazon SageMaker Serverless Inference"), so models can be outside it: with the internet, and
   * without this network's limits.
   * Limit: false with `egress: "endpoints-only"`.
   * @default true with a NAT gateway, false with `endpoints-only` or an existing network
   */
  readonly serverlessEndpoints?: boolean;
  /**
   * Whether users can create feature groups, and read and write their records. With `endpoints-only`, an interface endpoint
   * is created for records.
   * @default true, and false with `endpoints-only`
   */
  readonly featureStore?: boolean;
  /**
   * ARN of an MLflow tracking server or MLflow App in the environment's Region. All users and their jobs can read and write
   * its experiments. Marimo notebooks in spaces get it as `MLFLOW_TRACKING_URI`. With `endpoints-only`, an interface endpoint
   * is created for a tracking server.
   * @default none
   */
  readonly mlflowArn?: string;
  /**
   * Endpoints on instances, which cost while they are idle: `{ timeoutHours, allowedInstanceTypes? }`. One that is older is
   * deleted, which a state machine of Step Functions looks for each hour. IAM cannot limit the number of instances; Service
   * Quotas does.
   * @default none
   */
  readonly instanceEndpoints?: InstanceEndpointSettings;
}

export interface InstanceEndpointSettings {
  /** Hours after which an endpoint is deleted. An update does not prolong them. Limit: 1-8760, one year. */
  readonly timeoutHours: number;
  /**
   * Instance types of endpoints. IAM denies all others.
   * Limit: SageMaker API, `ProductionVariantInstanceType`; 1-10.
   * @default ml.t2.medium, ml.m5.large, ml.m5.xlarge and ml.g4dn.xlarge
   */
  readonly allowedInstanceTypes?: readonly string[];
}

export interface ResolvedServices {
  readonly serverlessEndpoints: boolean;
  readonly featureStore: boolean;
  readonly mlflowArn: string | undefined;
  readonly instanceEndpoints: Required<InstanceEndpointSettings> | undefined;
}

const endpointTypes = ["ml.t2.medium", "ml.m5.large", "ml.m5.xlarge", "ml.g4dn.xlarge"];

interface Beside {
  readonly services?: ServiceSettings;
  readonly egress?: unknown;
}

export const resolveServices = (settings: Beside): ResolvedServices => {
  const { serverlessEndpoints, featureStore, mlflowArn, instanceEndpoints } = settings.services ?? {};
  const isIsolated = settings.egress === "endpoints-only";
  return {
    serverlessEndpoints: serverlessEndpoints ?? (!isIsolated && hasOwnNetwork({ ...settings })),
    featureStore: featureStore ?? !isIsolated,
    mlflowArn,
    instanceEndpoints: instanceEndpoints && { allowedInstanceTypes: endpointTypes, ...instanceEndpoints },
  };
};

export const isTrackingServer = (mlflowArn: string) => mlflowArn.includes(":mlflow-tracking-server/");

const mlflowPattern =
  /^arn:aws[a-z-]*:sagemaker:([a-z0-9-]+):\d{12}:(mlflow-tracking-server|mlflow-app)\/[A-Za-z0-9-]{1,256}$/;

function checkMlflowArn(value: unknown, report: Report, settings: Untyped): void {
  const rule = {
    allowed:
      'the ARN of an MLflow tracking server or App, such as "arn:aws:sagemaker:us-east-1:123456789012:mlflow-tracking-server/team"',
    source: "SageMaker API, TrackingServerArn and MlflowAppArn",
  };
  if (!isString(value, report, rule)) return;
  const region = settings.region ?? basicDefaults.region;
  const match = mlflowPattern.exec(value);
  if (!match) report(value, "is not the ARN of an MLflow tracking server or App", rule);
  else if (isRegion(region) && match[1] !== region)
    report(value, `is in region ${match[1]}`, {
      allowed: `one in the environment's region, ${region}`,
      source: "src/settings/services.ts",
    });
}

const instanceRule = {
  allowed: "an object such as { timeoutHours: 12 }",
  source: "src/settings/services.ts",
};
const hoursRule = { allowed: "a whole number of hours, 1 to 8760", source: "src/settings/services.ts" };
const knownTypes = typesOf(endpointInstanceSizes);
const typesRule = {
  allowed: `1 to 10 of the ${knownTypes.length} types of endpoints, such as ["ml.m5.large"]`,
  source: "SageMaker API, ProductionVariantInstanceType",
};
const instanceChecks: Checks<InstanceEndpointSettings> = {
  timeoutHours: (value, report) => void isWhole(value, report, hoursRule, 1, 8760),
  allowedInstanceTypes: (value, report) => {
    checkList(value, report, typesRule, 1, 10, (type, at) => {
      if (isString(type, at, typesRule) && !knownTypes.includes(type))
        at(type, `is not an instance type for endpoints${nearest(type, knownTypes)}`, typesRule);
    });
  },
};

const checks: Checks<ServiceSettings> = {
  serverlessEndpoints: (value, report, settings) => {
    checkBoolean(value, report, settings);
    if (value === true && settings.egress === "endpoints-only")
      report(value, "would let models out of the VPC", {
        allowed: 'false with egress: "endpoints-only"',
        source: "SageMaker Developer Guide, Serverless Inference: no VPC",
      });
  },
  featureStore: checkBoolean,
  mlflowArn: checkMlflowArn,
  instanceEndpoints: (value, report, settings) => {
    if (!isRecord(value)) return report(value, "is not an object with settings", instanceRule);
    checkParts(value, instanceChecks, report, settings);
    if (value.timeoutHours === undefined)
      report(value.timeoutHours, "is missing", hoursRule, ".timeoutHours");
  },
};

export const checkServices: Check = (value, report, settings) => {
  if (isRecord(value)) return checkParts(value, checks, report, settings);
  report(value, "is not an object with settings", {
    allowed: "an object such as { featureStore: true }",
    source: "src/settings/services.ts",
  });
};
