"""The models of the setting `ai` in marimo. ai.test.ts tests them with the real marimo."""

import importlib
import json
import sys
import tomllib
from io import BytesIO
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import boto3
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "src/space/payload/server"))
bedrock_models: Any = importlib.import_module("bedrock_models")
user_choices: Any = importlib.import_module("user_choices")

AI = {
    "region": "eu-west-1",
    "chatModel": "eu.amazon.nova-pro-v1:0",
    "editModel": "arn:aws:bedrock:eu-west-1:123456789012:application-inference-profile/team1234abcd",
    "maxTokens": 4096,
    "models": ["eu.amazon.nova-pro-v1:0", "amazon.nova-lite-v1:0"],
}


def module(monkeypatch: pytest.MonkeyPatch, name: str, **members: Any) -> None:
    parts = name.split(".")
    for end in range(1, len(parts) + 1):
        part = ".".join(parts[:end])
        monkeypatch.setitem(sys.modules, part, ModuleType(part))
        if end > 1:
            setattr(sys.modules[".".join(parts[: end - 1])], parts[end - 1], sys.modules[part])
    for member, value in members.items():
        setattr(sys.modules[name], member, value)


def test_models_are_defaults_beneath_marimos_own_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    config: dict[str, Any] = {
        "ai": {"models": {"displayed_models": [], "custom_models": []}, "mode": "manual"}
    }
    module(monkeypatch, "marimo._config.config", DEFAULT_CONFIG=config)
    bedrock_models.set_defaults(AI)
    assert config["ai"] == {
        "mode": "manual",
        "bedrock": {"region_name": "eu-west-1"},
        "max_tokens": 4096,
        "models": {
            "displayed_models": [],
            "custom_models": ["bedrock/eu.amazon.nova-pro-v1:0", "bedrock/amazon.nova-lite-v1:0"],
            "chat_model": "bedrock/eu.amazon.nova-pro-v1:0",
            "edit_model": f"bedrock/{AI['editModel']}",
        },
    }
    bedrock_models.set_defaults({**AI, "autocompleteModel": "amazon.nova-lite-v1:0"})
    assert config["ai"]["models"]["autocomplete_model"] == "bedrock/amazon.nova-lite-v1:0"


def test_each_request_names_the_guardrail_and_keeps_the_rest() -> None:
    request = {"modelId": "a.b"}
    assert bedrock_models.requested(request, AI) == request
    guardrail = {"id": "abcd", "version": "1"}
    assert bedrock_models.requested(request, {**AI, "guardrail": guardrail}) == {
        "modelId": "a.b",
        "guardrailConfig": {"guardrailIdentifier": "abcd", "guardrailVersion": "1"},
    }


@pytest.mark.parametrize(("place", "arn"), [("people/ana", "arn:ana"), ("shared", "arn:shared")])
def test_each_request_calls_the_own_inference_profile(
    place: str, arn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = {"a.b": {"shared": "arn:shared", "users": {"ana": "arn:ana", "bo": "arn:bo"}}}
    requested_objects = []

    def get_object(**of: str) -> dict[str, Any]:
        requested_objects.append(of)
        return {"Body": BytesIO(json.dumps(listed).encode())}

    monkeypatch.setattr(boto3, "client", lambda *_, **__: SimpleNamespace(get_object=get_object))
    monkeypatch.setenv("MARIMO_BUCKET", "marimo-dev")
    monkeypatch.setenv("MARIMO_PREFIX", f"s3://marimo-dev/{place}")
    bedrock_models.own_profiles.cache_clear()
    ai = {**AI, "costByUser": True}
    try:
        assert bedrock_models.requested({"modelId": "a.b"}, AI) == {"modelId": "a.b"}, "without the setting"
        assert not requested_objects
        assert bedrock_models.requested({"modelId": "a.b"}, ai) == {"modelId": arn}
        assert bedrock_models.requested({"modelId": "c.d"}, ai) == {"modelId": "c.d"}, "which IAM then denies"
        assert requested_objects == [
            {"Bucket": "marimo-dev", "Key": "marimo/payload/inference-profiles.json"}
        ], "once"
    finally:
        bedrock_models.own_profiles.cache_clear()


def test_the_hooks_reach_the_client_of_marimos_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    hooks: dict[str, Any] = {}
    events = SimpleNamespace(register=hooks.__setitem__)
    client = SimpleNamespace(meta=SimpleNamespace(events=events))

    class BedrockProvider:
        def create_provider(self, config: object) -> Any:
            return SimpleNamespace(client=client, config=config)

    module(monkeypatch, "marimo._server.ai.providers", BedrockProvider=BedrockProvider)
    bedrock_models.extend_requests({**AI, "guardrail": {"id": "abcd", "version": "1"}})
    assert BedrockProvider().create_provider("config").config == "config"
    assert hooks["provide-client-params.bedrock-runtime"](params={}, model=None)["guardrailConfig"]
    parsed = {"Error": {"Code": "AccessDeniedException", "Message": "no"}}
    hooks["after-call.bedrock-runtime"](parsed=parsed, http_response=None, model=None)
    assert "What to do" in parsed["Error"]["Message"]


@pytest.mark.parametrize(
    ("code", "message", "remedy"),
    [
        ("AccessDeniedException", "not authorized to perform: bedrock:InvokeModel", "amazon.nova-lite-v1:0"),
        ("AccessDeniedException", "denied (aws-marketplace:Subscribe)", "calls the model once"),
        (
            "ResourceNotFoundException",
            "Model use case details have not been submitted",
            "the form of Anthropic",
        ),
        ("ValidationException", "with on-demand throughput isn't supported", "inference profile"),
        ("ValidationException", "Value at 'messages' failed", None),
        ("ThrottlingException", "Too many tokens", None),
    ],
)
def test_a_refusal_says_what_to_do_after_awss_words(code: str, message: str, remedy: str | None) -> None:
    parsed = {"Error": {"Code": code, "Message": message}}
    bedrock_models.explain(parsed, AI)
    after = parsed["Error"]["Message"]
    assert after.startswith(message)
    assert (remedy in after) if remedy else after == message
    answer: dict[str, Any] = {"output": {}}
    bedrock_models.explain(answer, AI)
    assert answer == {"output": {}}


def dumps(values: dict[str, Any], **_: object) -> str:
    """Like tomlkit's, for texts, numbers and tables."""

    def line(value: Any) -> str:
        if isinstance(value, dict):
            return "{" + ", ".join(f"{name} = {line(one)}" for name, one in value.items()) + "}"
        return f'"{value}"' if isinstance(value, str) else str(value)

    return "".join(f"{name} = {line(value)}\n" for name, value in values.items())


class Store:
    """Like marimo's UserConfigStore, which writes its defaults too."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def get_config_path(self) -> str:
        return str(self.file)

    def read(self) -> dict[str, Any]:
        return tomllib.loads(self.file.read_text())

    def save_config(self, config: dict[str, Any]) -> dict[str, Any]:
        merged: dict[str, Any] = {"ai": {"max_tokens": 1, "models": {"chat_model": "old"}}, "theme": "light"}
        for source in (self.read(), config):
            for name, value in source.items():
                merged[name] = {**merged[name], **value} if isinstance(value, dict) else value
        self.file.write_text(dumps(merged))
        return merged


def test_only_choices_are_saved_and_all_of_them_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store_class = type("Store", (Store,), {"save_config": Store.save_config})
    module(monkeypatch, "marimo._config.manager", UserConfigStore=store_class)
    module(monkeypatch, "tomlkit", dumps=dumps)
    store = store_class(tmp_path / "marimo.toml")
    store.file.write_text("")
    store.save_config({"theme": "dark"})
    assert "chat_model" in store.read()["ai"]["models"], "marimo's own way"
    store.file.write_text("")
    user_choices.save_only_choices()
    assert store.save_config({"theme": "dark"})["ai"]["max_tokens"] == 1, "marimo gets the whole answer"
    assert store.read() == {"theme": "dark"}
    store.save_config({"ai": {"max_tokens": 5}})
    assert store.read() == {"theme": "dark", "ai": {"max_tokens": 5}}


def test_choices_stay_on_a_full_disk_and_a_link_stays_a_link(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module(monkeypatch, "tomlkit", dumps=dumps)
    target, file = tmp_path / "dotfiles.toml", tmp_path / "marimo.toml"
    target.write_text('theme = "dark"\nwidth = "full"\n')
    file.symlink_to(target)
    user_choices.keep_choices(file, {"theme": "dark"})
    assert (file.is_symlink(), target.read_text().strip()) == (True, 'theme = "dark"')

    def full(self: Path, text: str, **_: Any) -> int:
        with self.open("w"):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OSError, match="No space"):
        user_choices.keep_choices(file, {})
    assert target.read_text().strip() == 'theme = "dark"'
