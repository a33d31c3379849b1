"""Every command `aws SERVICE OPERATION` that a text of the project advises exists, with its options."""

import functools
import re
from pathlib import Path

import botocore.session
import pytest
from botocore import xform_name

project = Path(__file__).parents[2]
# High-level commands of the AWS CLI, which have no operation of the API.
ADDED_BY_THE_CLI = {("s3", "cp"), ("s3", "sync"), ("s3", "ls"), ("codeartifact", "login"), ("sso", "login")}
GLOBAL_OPTIONS = {"region", "profile", "query", "output", "no-cli-pager"}
COMMAND = re.compile(r"\baws ([a-z][a-z0-9-]+) ([a-z]+(?:-[a-z]+)+|cp|sync|ls|login)\b([^`\n]*)")


session = botocore.session.get_session()
services = session.get_available_services()
model_of = functools.cache(session.get_service_model)


def problems_of(text: str) -> list[str]:
    found = []
    for command, operation, rest in COMMAND.findall(text):
        service = {"s3api": "s3"}.get(command, command)
        if (service, operation) in ADDED_BY_THE_CLI:
            continue
        if service not in services:
            found.append(f"aws {service}: no such service")
            continue
        model = model_of(service)
        operations = {xform_name(name, "-"): name for name in model.operation_names}
        if operation not in operations:
            found.append(f"aws {service} {operation}: no such operation")
            continue
        shape = model.operation_model(operations[operation]).input_shape
        known = {xform_name(name, "-") for name in shape.members} | GLOBAL_OPTIONS
        options = re.findall(r"(?<!`)--([a-z][a-z-]+)", rest)
        found += [f"aws {service} {operation} --{one}: no such option" for one in options if one not in known]
    return found


def texts() -> list[Path]:
    files = [
        path
        for folder in ("src", "scripts", "sample-notebooks", ".github")
        for path in (project / folder).rglob("*")
        if path.suffix in {".md", ".ts", ".py", ".sh", ".yml"} and "__marimo__" not in path.parts
    ]
    return [project / "README.md", *files]


def test_commands_exist() -> None:
    problems = [f"{path}: {one}" for path in texts() for one in problems_of(path.read_text())]
    assert problems == []


def test_finds_commands() -> None:
    assert sum(bool(COMMAND.search(path.read_text())) for path in texts()) > 5


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("aws sagemaker change-domain", "aws sagemaker change-domain: no such operation"),
        (
            "aws sagemaker update-domain --retention-policy x",
            "aws sagemaker update-domain --retention-policy: no such option",
        ),
        ("aws sagemakr list-domains", "aws sagemakr: no such service"),
    ],
)
def test_reports_others(text: str, problem: str) -> None:
    assert problems_of(text) == [problem]
