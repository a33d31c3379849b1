"""Every error, transition and limit of the local AWS must name its source, or say that it is a guess."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from botocore.loaders import Loader

FOLDER = Path(__file__).parents[2] / "src/local-studio/aws"
MARK = re.compile(r"\b(Source|Guess): \w")
TRANSITIONS = ("set_status", "settle", "remove", "ask_app_host")
# Errors of AWS are moto's exceptions; these exceptions are not.
NOT_AWS = ("ArgumentTypeError", "AppHostFailure", "NotDeliveredError", "ValueError")

# Names of AWS, such as CreateDomain, SubnetIds, VpcOnly. OTHERS are valid but not in the service model.
NAME = re.compile(r"\b(?:[A-Z][a-z]+){2,}\b")
OTHERS = ("CloudTrail", "DeleteObjects", "InternalFailure", "SageMaker")
MODULES = (
    *("event_bus.py", "moto_fixes.py", "orders.py", "policies.py", "policy_evaluation.py"),
    *("scheduler.py", "schedule_expression.py", "schedule_invocation.py", "trail.py"),
)


def unmarked(text: str) -> list[int]:
    """Lines of statements that need a mark in the comment directly above, but have none."""
    lines = text.split("\n")
    found = []
    for statement in _statements(ast.parse(text)):
        above = statement.lineno - 1
        comment = []
        while above and lines[above - 1].lstrip().startswith("#"):
            above -= 1
            comment.append(lines[above])
        if not MARK.search("\n".join(comment)):
            found.append(statement.lineno)
    return found


def sources(text: str) -> Iterator[tuple[int, str]]:
    """The text after `Source:` of each comment, on one line, up to its guess and without page titles."""
    comment = ""
    for number, line in enumerate([*text.split("\n"), ""], 1):
        if line.lstrip().startswith("#"):
            comment += line.strip().removeprefix("#")
            continue
        for source in re.findall(r"Source: (.*?)(?=Guess:|$)", comment):
            yield number, re.sub(r'"[^"]*"', "", source)
        comment = ""


def _service_model() -> dict[str, Any]:
    model: dict[str, Any] = Loader().load_service_model("sagemaker", "service-2")
    return model


def _names(model: dict[str, Any]) -> set[str]:
    """All names in the service model: operations, shapes, members and enum values."""
    names = {*model["operations"], *model["shapes"]}
    for shape in model["shapes"].values():
        names |= {*shape.get("members", ()), *shape.get("enum", ())}
    return names


def wrong(text: str, model: dict[str, Any]) -> list[str]:
    """Names in sources that are not in the service model, and errors that an operation does not have."""
    known = _names(model)
    found = []
    for line, source in sources(text):
        names = NAME.findall(source)
        found += [f"{line}: no {name}" for name in names if name not in known and name not in OTHERS]
        if error := re.search(r"errors \((\w+)\)", source):
            for operation in (name for name in names if name in model["operations"]):
                errors = [one["shape"] for one in model["operations"][operation].get("errors", ())]
                if error[1] not in errors:
                    found.append(f"{line}: {operation} has no {error[1]}")
    return found


def _statements(tree: ast.AST) -> Iterator[ast.stmt]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Raise):
            # An exception that was created elsewhere has its mark there.
            if isinstance(node.exc, ast.Call) and _name(node.exc.func) not in NOT_AWS:
                yield node
        elif isinstance(node, ast.Expr):
            if isinstance(node.value, ast.Call) and _is_transition(node.value.func):
                yield node
        elif isinstance(node, ast.Assign) and _is_limit(node):
            yield node


def _name(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _is_transition(function: ast.expr) -> bool:
    return (
        isinstance(function, ast.Attribute)
        and function.attr in TRANSITIONS
        and _name(function.value) != "self"
    )


def _is_limit(node: ast.Assign) -> bool:
    is_constant = all(
        isinstance(target, ast.Name) and target.id.lstrip("_").isupper() for target in node.targets
    )
    return is_constant and isinstance(node.value, ast.Constant) and isinstance(node.value.value, int)


def files() -> list[Path]:
    return sorted([*(FOLDER / "studio").glob("*.py"), *(FOLDER / name for name in MODULES)])


def test_every_statement_is_marked() -> None:
    missing = [f"{path.name}:{line}" for path in files() for line in unmarked(path.read_text())]
    assert missing == []


def test_there_are_statements_to_check() -> None:
    """Otherwise the test above would pass without checking anything."""
    marked = sum(1 for path in files() for _ in _statements(ast.parse(path.read_text())))
    assert marked > 60


def test_a_statement_without_a_mark_is_found() -> None:
    text = "\n".join(
        [
            "# Source: CreateDomain.",
            'raise ResourceInUse("in use")',
            "# Because of something.",
            'raise ValidationException("no")',
            "studio.settle(domain)",
            "# Guess: the number.",
            "_MOST = 4",
            "_LEAST = 1",
            "raise refusal",
            'app.set_status("Deleted")',
        ]
    )
    assert sorted(unmarked(text)) == [4, 5, 8, 10]


def test_names_in_sources_are_in_the_service_model() -> None:
    model = _service_model()
    texts = {path.name: path.read_text() for path in files()}
    assert [f"{name}:{line}" for name, text in texts.items() for line in wrong(text, model)] == []
    named = [name for text in texts.values() for _, source in sources(text) for name in NAME.findall(source)]
    assert len(named) > 60


def test_a_source_with_an_unknown_name_is_found() -> None:
    text = "\n".join(
        [
            "# Source: CreateDomain, SubnetNames: not there. Guess: that NobodyCares.",
            "x()",
            "# Source: CreateApp and DescribeApp, errors",
            "# (ResourceInUse).",
            "y()",
        ]
    )
    assert wrong(text, _service_model()) == ["2: no SubnetNames", "5: DescribeApp has no ResourceInUse"]
