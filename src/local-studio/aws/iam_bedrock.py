"""What IAM is asked for a request to Amazon Bedrock's models."""

import re

import inference_profiles
from policy_evaluation import Access
from studio.state import Members, Studio

# Amazon Bedrock User Guide, "Prerequisites for inference": Converse is authorized as InvokeModel.
_ACTIONS = {
    "Converse": "InvokeModel",
    "ConverseStream": "InvokeModelWithResponseStream",
    "CountTokens": "CountTokens",
    "InvokeModel": "InvokeModel",
    "InvokeModelWithResponseStream": "InvokeModelWithResponseStream",
}
_PROFILE = re.compile(r"(global|[a-z]{2,4}(?:-gov)?)\.(.+)")
_LISTS = ("ListFoundationModels", "ListInferenceProfiles")


def model_accesses(studio: Studio, operation: str, members: Members) -> list[Access] | None:
    if operation in _LISTS:
        return [Access(f"bedrock:{operation}", "*")]
    if operation == "ApplyGuardrail":
        guardrail = members.get("guardrailIdentifier", "")
        arn = guardrail if guardrail.startswith("arn:") else _own(studio, f"guardrail/{guardrail}")
        return [Access("bedrock:ApplyGuardrail", arn)]
    if operation == "GetInferenceProfile":
        arn = members["inferenceProfileIdentifier"]
        return [Access(f"bedrock:{operation}", arn, _tags(inference_profiles.find(studio, arn)))]
    if operation not in _ACTIONS:
        return None
    action = f"bedrock:{_ACTIONS[operation]}"
    settings = members.get("guardrailConfig") or {}
    guardrail = settings.get("guardrailIdentifier") or members.get("guardrailIdentifier")
    context = {"bedrock:guardrailidentifier": guardrail} if guardrail else {}
    model = members.get("modelId", "")
    if model.startswith("arn:") and "inference-profile/" not in model:
        return [Access(action, model, context)]
    if application := inference_profiles.find(studio, model):
        source = application["source"]
        through = {**context, "bedrock:inferenceprofilearn": model}
        # Guess: also the system-defined profile that it is a copy of.
        resources = [
            *([source] if "inference-profile/" in source else []),
            application["models"][0]["modelArn"],
        ]
        return [
            Access(action, model, {**context, **_tags(application)}),
            *(Access(action, one, through) for one in resources),
        ]
    name = model.rsplit("inference-profile/", 1)[-1]
    if not (found := _PROFILE.fullmatch(name)):
        if model.startswith("arn:"):  # an application profile, whose model is not asked for here
            return [Access(action, model, context)]
        return [Access(action, _model(studio, studio.region, model), context)]
    profile = model if model.startswith("arn:") else _own(studio, f"inference-profile/{model}")
    through = {**context, "bedrock:inferenceprofilearn": profile}
    # Source: Amazon Bedrock User Guide, "Prerequisites for inference profiles": the model in every region
    # that the profile leads to. Here: in the caller's, and for a global profile also without a region.
    regions = [studio.region, *([""] if found[1] == "global" else [])]
    return [
        Access(action, profile, context),
        *(Access(action, _model(studio, region, found[2]), through) for region in regions),
    ]


def _tags(profile: Members | None) -> dict[str, str]:
    return {
        f"aws:resourcetag/{key.lower()}": value for key, value in (profile or {"tags": {}})["tags"].items()
    }


def _own(studio: Studio, resource: str) -> str:
    return f"arn:{studio.partition}:bedrock:{studio.region}:{studio.account}:{resource}"


def _model(studio: Studio, region: str, model: str) -> str:
    return f"arn:{studio.partition}:bedrock:{region}::foundation-model/{model}"
