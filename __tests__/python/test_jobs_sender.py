"""Who sends a job, by name or by the space, and what is refused."""

import json
from pathlib import Path
from typing import Any

import pytest

from sagemaker_marimo.jobs import sender, settings
from sagemaker_marimo.jobs.sender import Sender
from sagemaker_marimo.jobs.settings import Refused

ROLES = "arn:aws:iam::123456789012:role/marimo-dev-user-"
CONTRACT = json.loads((Path(__file__).parents[1] / "support/job-contract.json").read_text())


def environment(**changes: object) -> settings.Environment:
    members: dict[str, Any] = CONTRACT["jobs.json"] | {"roleArn": None, "userRoleArnPrefix": ROLES} | changes
    return settings._environment(members, "0123456789abcdef", "0" * 64)  # what `read` returns


@pytest.fixture(autouse=True)
def space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file in which a space finds its role; it does not exist yet."""
    file = tmp_path / "resource-metadata.json"
    monkeypatch.setenv("SAGEMAKER_RESOURCE_METADATA", str(file))
    monkeypatch.delenv("MARIMO_USER", raising=False)
    return file


def test_a_space_sends_as_its_user(space: Path) -> None:
    space.write_text(json.dumps({"ExecutionRoleArn": f"{ROLES}ana"}))
    assert sender.find(environment(), None) == Sender(f"{ROLES}ana", "marimo-dev-ana", "people/ana")


def test_a_user_is_named_by_option_or_variable(space: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MARIMO_USER", "bo")
    assert sender.find(environment(), None) == Sender(f"{ROLES}bo", "marimo-dev-bo", "people/bo")
    # Roles and ARNs have names in lower case.
    assert sender.find(environment(), "Ana") == Sender(f"{ROLES}ana", "marimo-dev-ana", "people/ana")
    # IAM decides whether this space may pass that role.
    space.write_text(json.dumps({"ExecutionRoleArn": f"{ROLES}cy"}))
    assert sender.find(environment(), "ana").prefix == "marimo-dev-ana"


def test_a_space_that_is_no_users_sends_nothing(space: Path) -> None:
    role = "arn:aws:iam::123456789012:role/marimo-dev-execution"
    space.write_text(json.dumps({"ExecutionRoleArn": role}))
    with pytest.raises(Refused, match=f"this space runs as {role}, not as a user"):
        sender.find(environment(), None)


@pytest.mark.parametrize("text", [None, "", "[]", "{}", '{"ExecutionRoleArn": 1}'])
def test_outside_of_a_space_the_user_must_be_named(space: Path, text: str | None) -> None:
    if text is not None:
        space.write_text(text)
    with pytest.raises(Refused, match="use --user NAME or set MARIMO_USER to your user profile in dev"):
        sender.find(environment(), None)


def test_the_workgroup_is_that_of_the_role() -> None:
    def workgroup(**changes: object) -> str | None:
        one = environment(**changes)
        return sender.athena_workgroup(one, sender.find(one, "Ana"))

    assert workgroup(athenaUsers=["*"]) == "marimo-dev-user-ana"
    assert workgroup(athenaUsers=["bo", "ana"]) == "marimo-dev-user-ana"
    assert workgroup(athenaUsers=["bo"]) is None
    assert workgroup(athenaUsers=[]) is None
    role = {"roleArn": "arn:aws:iam::123456789012:role/studio", "userRoleArnPrefix": None}
    assert workgroup(athenaUsers=["*"], **role) == "marimo-dev-shared"


def test_a_user_has_the_instance_types_of_their_teams() -> None:
    types = {"ana": ["ml.g5.12xlarge"]}
    assert sender.find(environment(teamInstanceTypes=types), "Ana").team_types == ["ml.g5.12xlarge"]
    assert list(sender.find(environment(teamInstanceTypes=types), "bo").team_types) == []


def test_with_one_role_for_everybody_it_is_the_sender() -> None:
    role = "arn:aws:iam::123456789012:role/studio"
    one = environment(roleArn=role, userRoleArnPrefix=None)
    assert sender.find(one, "Ana") == Sender(role, "marimo-dev", "people/ana")
    assert sender.find(one, None) == Sender(role, "marimo-dev", "shared")
