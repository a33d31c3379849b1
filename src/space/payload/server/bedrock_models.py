"""The models of the environment's setting `ai` in marimo: its defaults, and what is added to each request.

src/space/README.md lists the private interfaces that this module uses.
"""

import json
import os
from functools import cache
from pathlib import Path
from typing import Any

NAMES = Path(__file__).parents[1] / "python/sagemaker_marimo/names.json"
USER_GUIDE = 'Amazon Bedrock User Guide, "Access Amazon Bedrock foundation models"'
OWN_CHOICE = "choose one of the environment's models in marimo's settings, under AI: "
ONCE = "an administrator of the AWS account {}. After some minutes it works for all ({})."
REMEDIES = (
    # aws-samples/anthropic-on-aws#252: the first call of a model in an account subscribes to it.
    ("aws-marketplace:", ONCE.format("calls the model once, such as in Bedrock's console", USER_GUIDE)),
    # truefoundry/models#934. Guess: other messages with these words.
    ("use case", ONCE.format("fills in the form of Anthropic once, in the console of Bedrock", USER_GUIDE)),
    # Guess: the wording. Such a model has no capacity of its own in the Region.
    (
        "on-demand throughput",
        "the environment's setting `ai` must name an inference profile of this model, such as us.…, eu.… or "
        "global.…",
    ),
)


def marimo_config(ai: dict[str, Any]) -> dict[str, Any]:
    """The setting as marimo's configuration has it."""

    def name(model: str) -> str:
        return f"bedrock/{model}"

    models: dict[str, Any] = {
        "chat_model": name(ai["chatModel"]),
        "edit_model": name(ai["editModel"]),
        # marimo's choice in a list of models. It lists others of Bedrock, which IAM denies.
        "custom_models": [name(model) for model in ai["models"]],
    }
    if "autocompleteModel" in ai:
        models["autocomplete_model"] = name(ai["autocompleteModel"])
    return {
        "bedrock": {"region_name": ai["region"]},
        "max_tokens": ai["maxTokens"],
        "models": models,
    }


def set_defaults(ai: dict[str, Any]) -> None:
    from marimo._config.config import DEFAULT_CONFIG

    own: Any = DEFAULT_CONFIG["ai"]
    config = marimo_config(ai)
    own.update(config, models={**own.get("models", {}), **config["models"]})


def extend_requests(ai: dict[str, Any]) -> None:
    """Each request names the guardrail and the user's inference profile, and each refusal says what to do."""
    from marimo._server.ai.providers import BedrockProvider

    create = BedrockProvider.create_provider

    def create_provider(self: Any, config: Any) -> Any:
        provider = create(self, config)
        events = provider.client.meta.events
        events.register("provide-client-params.bedrock-runtime", lambda params, **_: requested(params, ai))
        events.register("after-call.bedrock-runtime", lambda parsed, **_: explain(parsed, ai))
        return provider

    provider: Any = BedrockProvider
    provider.create_provider = create_provider


def requested(params: dict[str, Any], ai: dict[str, Any]) -> dict[str, Any]:
    """A request with the guardrail, and with the user's own inference profile in place of the model."""
    if ai.get("costByUser") and (profile := own_profiles().get(params.get("modelId", ""))):
        params = {**params, "modelId": profile}
    if guardrail := ai.get("guardrail"):
        identifier = {"guardrailIdentifier": guardrail["id"], "guardrailVersion": guardrail["version"]}
        return {**params, "guardrailConfig": identifier}
    return params


@cache  # not an error
def own_profiles() -> dict[str, str]:
    """The ARNs of the inference profiles that this space's role may call, by model."""
    import boto3
    from botocore.config import Config

    bucket, user = os.environ["MARIMO_BUCKET"], os.environ["MARIMO_PREFIX"].partition("/people/")[2]
    attempts = Config(connect_timeout=5, read_timeout=10, retries={"total_max_attempts": 2})
    s3 = boto3.client("s3", region_name=os.environ.get("MARIMO_REGION"), config=attempts)
    key = json.loads(NAMES.read_text())["inferenceProfilesJson"]
    listed = json.load(s3.get_object(Bucket=bucket, Key=key)["Body"])
    found = {model: arns["users"].get(user) if user else arns["shared"] for model, arns in listed.items()}
    return {model: arn for model, arn in found.items() if arn}


def explain(parsed: dict[str, Any], ai: dict[str, Any]) -> None:
    """Adds to AWS's message what a person can do."""
    error = parsed.get("Error", {})
    message = error.get("Message", "")
    if error.get("Code") not in ("AccessDeniedException", "ResourceNotFoundException", "ValidationException"):
        return
    remedy = next(
        (remedy for words, remedy in REMEDIES if words in message.lower().replace("-case", " case")), ""
    )
    if not remedy and error["Code"] == "AccessDeniedException":
        remedy = f"{OWN_CHOICE}{', '.join(ai['models'])}. To allow another, ask for it in the setting `ai`."
    if remedy:
        error["Message"] = f"{message} What to do: {remedy}"
