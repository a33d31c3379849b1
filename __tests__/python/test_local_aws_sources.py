"""Every refusal, transition and limit of the local AWS says from where it is known, or that it is a guess."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "src/local-studio/aws"
MARK = re.compile(r"\b(Source|Guess): \w")
TRANSITIONS = ("set_status", "settle", "remove", "ask_app_host")
# Refusals are exceptions of moto's kind; these are the others.
NOT_AWS = ("ArgumentTypeError", "AppHostFailure", "ValueError")


def unmarked(text: str) -> list[int]:
    """Lines of statements that need a mark in the comment right above them, and have none."""
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


def _statements(tree: ast.AST) -> Iterator[ast.stmt]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Raise):
            # `raise` of something made elsewhere passes on what is marked there.
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
    return sorted([*(FOLDER / "studio").glob("*.py"), FOLDER / "moto_fixes.py"])


def test_everything_is_marked() -> None:
    missing = [f"{path.name}:{line}" for path in files() for line in unmarked(path.read_text())]
    assert missing == []


def test_what_is_marked_is_there() -> None:
    """So that the test above did not look at nothing."""
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
