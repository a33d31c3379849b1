"""What IAM is asked for a request: the actions, their resources and their condition keys.

SageMaker's keys are those of the Service Authorization Reference ("Amazon SageMaker AI"), read from the
members of that name wherever they are in a request. Not asked: rights that a service needs for itself (ECR,
network interfaces), endpoint policies, and s3:ListBucket for an object that does not exist.
"""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from moto.athena.models import athena_backends
from moto.sagemaker.models import sagemaker_backends
from moto.secretsmanager.models import secretsmanager_backends

import iam_s3
from iam_bedrock import model_accesses
from iam_resources import each, fill, templates_of
from policy_evaluation import Access, Values
from studio import tags
from studio.errors import ResourceNotFound
from studio.state import Members, Studio

Context = dict[str, Values]
# Runtimes whose operations are actions of another service.
_SERVICES = {
    "bedrock-runtime": "bedrock",
    "sagemaker-runtime": "sagemaker",
    "sagemaker-featurestore-runtime": "sagemaker",
    "sagemaker-metrics": "sagemaker",
}
# Guess: these keep the case of the request in their ARNs (SageMaker's other ARNs are in lower case).
_KEEP_CASE = ("model-package/", "studio-lifecycle-config/")
_PASSED_TO = {"sagemaker": "sagemaker.amazonaws.com", "scheduler": "scheduler.amazonaws.com"}
_ROLES = ("RoleArn", "ExecutionRoleArn")


def accesses(studio: Studio, service: str, operation: str, members: Members) -> list[Access] | None:
    """None: the table does not know the operation."""
    name = _SERVICES.get(service, service)
    if name == "s3":
        return iam_s3.accesses(operation, members, studio.account, studio.region, studio.partition)
    if name == "bedrock":
        return model_accesses(studio, operation, members)
    templates = templates_of(name, operation)
    if templates is None:
        return None
    context = _context(studio, operation, members) if name == "sagemaker" else _tag_context(members)
    if name == "cloudwatch" and "Namespace" in members:
        context["cloudwatch:namespace"] = members["Namespace"]
    resources = [
        _arn(studio, name, operation, template, one)
        for one in each(operation, members)
        for template in templates
    ]
    found = [Access(f"{name}:{operation}", one, context | _resource_tags(studio, one)) for one in resources]
    creates = operation.startswith(("Create", "Update"))
    if name == "sagemaker" and operation.startswith("Create") and members.get("Tags"):
        # SageMaker Developer Guide, "Provide permissions for tagging SageMaker AI resources".
        of_tags = _tag_context(members) | {"sagemaker:taggingaction": operation}
        found.append(Access("sagemaker:AddTags", resources[0], of_tags))
    if creates and name in _PASSED_TO:
        passed = {role: None for _, role in _find(members, *_ROLES) if isinstance(role, str)}
        context = {"iam:passedtoservice": _PASSED_TO[name]}
        found += [Access("iam:PassRole", role, context) for role in passed]
    return found


def _arn(studio: Studio, service: str, operation: str, template: str, members: Members) -> str:
    if template == "*":
        return "*"
    if service == "athena" and "QueryExecutionId" in members:
        query = athena_backends[studio.account][studio.region].executions.get(members["QueryExecutionId"])
        members = {**members, "WorkGroup": query.workgroup.name if query and query.workgroup else ""}
    if service == "secretsmanager" and not members["SecretId"].startswith("arn:"):
        secrets = secretsmanager_backends[studio.account][studio.region].secrets
        secret = secrets.get(members["SecretId"])
        # Guess: of a secret that does not exist.
        name = secret.arn.split(":secret:")[-1] if secret else f"{members['SecretId']}-"
        return f"arn:{studio.partition}:secretsmanager:{studio.region}:{studio.account}:secret:{name}"
    filled = fill(template, members)
    if filled.startswith("arn:"):
        return filled
    if service == "sagemaker" and not filled.startswith(_KEEP_CASE):
        filled = filled.lower()
    # An ARN may be in a member that is a name or an ARN (ModelPackageName).
    if (start := filled.find("arn:")) >= 0:
        return filled[start:]
    region = "" if service == "iam" else studio.region
    return f"arn:{studio.partition}:{service}:{region}:{studio.account}:{filled}"


def _find(value: Any, *names: str) -> Iterator[tuple[str, Any]]:
    """The members of these names at every depth."""
    if isinstance(value, dict):
        for name, item in value.items():
            if name in names:
                yield name, item
            else:
                yield from _find(item, *names)
    elif isinstance(value, list):
        for item in value:
            yield from _find(item, *names)


def _tag_context(members: Members) -> Context:
    given = members.get("Tags")
    pairs = [one for one in given if isinstance(one, dict)] if isinstance(given, list) else []
    context: Context = {f"aws:requesttag/{one['Key'].lower()}": one.get("Value", "") for one in pairs}
    keys = [one["Key"] for one in pairs] or list(members.get("TagKeys") or ())
    return context | ({"aws:tagkeys": keys} if keys else {})


# The condition key of each member, wherever it is in the request.
_SINGLE = {
    "VolumeKmsKeyId": "sagemaker:volumekmskey",
    "MaxRuntimeInSeconds": "sagemaker:maxruntimeinseconds",
    "EnableNetworkIsolation": "sagemaker:networkisolation",
    "EnableInterContainerTrafficEncryption": "sagemaker:intercontainertrafficencryption",
    "KeepAlivePeriodInSeconds": "sagemaker:keepaliveperiod",
    "EnableRemoteDebug": "sagemaker:enableremotedebug",
    "ModelApprovalStatus": "sagemaker:modelapprovalstatus",
    "EnableOnlineStore": "sagemaker:featuregroupenableonlinestore",
    "DisableGlueTableCreation": "sagemaker:featuregroupdisablegluetablecreation",
    "TargetModel": "sagemaker:targetmodel",
}
_SEVERAL = {
    "InstanceType": "sagemaker:instancetypes",
    "MemorySizeInMB": "sagemaker:serverlessmemorysize",
    "MaxConcurrency": "sagemaker:serverlessmaxconcurrency",
}
_OUTPUTS = ("OutputDataConfig", "ProcessingOutputConfig", "TransformOutput")


def _context(studio: Studio, operation: str, members: Members) -> Context:
    context = _tag_context(members)
    for name, value in _find(members, *_SINGLE):
        context[_SINGLE[name]] = str(value).lower() if isinstance(value, bool) else str(value)
    for name, key in _SEVERAL.items():
        if values := [str(value) for _, value in _find(members, name)]:
            context[key] = values
    if outputs := [one["KmsKeyId"] for _, one in _find(members, *_OUTPUTS) if one.get("KmsKeyId")]:
        context["sagemaker:outputkmskey"] = outputs[0]
    for _, network in _find(members, "VpcConfig"):
        context["sagemaker:vpcsubnets"] = network.get("Subnets", [])
        context["sagemaker:vpcsecuritygroupids"] = network.get("SecurityGroupIds", [])
    if operation == "CreateEndpointConfig":
        if "KmsKeyId" in members:
            context["sagemaker:volumekmskey"] = members["KmsKeyId"]
        models = [f"model/{name.lower()}" for _, name in _find(members, "ModelName")]
        context["sagemaker:modelarn"] = [studio.arn(one) for one in models]
    if operation == "CreateFeatureGroup":
        context |= _store_context(members)
    if "SpaceName" in members and operation.endswith(("Space", "App")):
        context |= _space_context(studio, operation, members)
    return context


def _store_context(members: Members) -> Context:
    online, offline = members.get("OnlineStoreConfig", {}), members.get("OfflineStoreConfig", {})
    store = offline.get("S3StorageConfig", {})
    values = {
        "sagemaker:featuregrouponlinestorekmskey": online.get("SecurityConfig", {}).get("KmsKeyId"),
        "sagemaker:featuregroupofflinestorekmskey": store.get("KmsKeyId"),
        "sagemaker:featuregroupofflinestores3uri": store.get("S3Uri"),
        "sagemaker:featuregroupofflinestoreconfig": "true" if offline else None,
    }
    return {key: value for key, value in values.items() if value}


def _space_context(studio: Studio, operation: str, members: Members) -> Context:
    """The owner and the sharing type: in the request that creates the space, else of the space."""
    key = (members.get("DomainId", ""), members["SpaceName"].lower())
    space = members if operation == "CreateSpace" else getattr(studio.spaces.get(key), "members", {})
    owner = space.get("OwnershipSettings", {}).get("OwnerUserProfileName")
    sharing = space.get("SpaceSharingSettings", {}).get("SharingType")
    context: Context = {}
    if owner:
        profile = f"user-profile/{members['DomainId']}/{owner.lower()}"
        context["sagemaker:owneruserprofilearn"] = studio.arn(profile)
    return context | ({"sagemaker:spacesharingtype": sharing} if sharing else {})


def _resource_tags(studio: Studio, arn: str) -> Context:
    """Only of SageMaker's resources; those of other services are not asked for."""
    if ":sagemaker:" not in arn:
        return {}
    try:
        resource = tags.find(studio, {"ResourceArn": arn})
        found = resource.tags if resource else _tags_of_moto(studio, arn)
    except (ResourceNotFound, KeyError):
        return {}
    return {
        f"{prefix}:resourcetag/{one['Key'].lower()}": one["Value"]
        for one in found
        for prefix in ("aws", "sagemaker")
    }


def _tags_of_moto(studio: Studio, arn: str) -> list[dict[str, str]]:
    try:
        resource: Any = sagemaker_backends[studio.account][studio.region]._get_resource_from_arn(arn)
        return list(resource.tags or [])
    except Exception:
        return []


def by(access: Access, principal: str, context: Context) -> Access:
    return replace(access, principal=principal, context={**context, **access.context})


def members_of_json(body: bytes) -> Members:
    found: Members = json.loads(body or b"{}")
    return found
