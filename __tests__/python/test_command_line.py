import pytest

from sagemaker_marimo.command_line import (
    IGNORED_OPTIONS,
    IGNORED_OPTIONS_WITH_VALUE,
    UNSUPPORTED_OPTIONS,
    paths_of,
)


@pytest.mark.parametrize(
    ("arguments", "paths", "ignored"),
    [
        ([], [], []),
        (["a.py"], ["a.py"], []),
        (["--headless", "a.py", "-p", "2718"], ["a.py"], ["--headless", "-p"]),
        (["--port=2718", "a.py", "b.py"], ["a.py", "b.py"], ["--port"]),
        (["a.py", "--host"], ["a.py"], ["--host"]),
        # Otherwise the value would be opened as a notebook.
        (["--base-url", "/x", "a.py"], ["a.py"], ["--base-url"]),
    ],
)
def test_paths_and_ignored_options(
    arguments: list[str], paths: list[str], ignored: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert paths_of("edit", arguments) == paths
    warning = f"Ignored in a space: {' '.join(ignored)}\n" if ignored else ""
    assert capsys.readouterr().err == warning


@pytest.mark.parametrize("option", sorted(IGNORED_OPTIONS))
def test_ignored_option(option: str) -> None:
    assert paths_of("edit", [option, "a.py"]) == ["a.py"]


@pytest.mark.parametrize("option", sorted(IGNORED_OPTIONS_WITH_VALUE))
def test_ignored_option_with_a_value(option: str) -> None:
    assert paths_of("edit", [option, "value", "a.py"]) == ["a.py"]
    assert paths_of("edit", [f"{option}=value", "a.py"]) == ["a.py"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        *(
            ([option], f"marimo run {option} does not work in a space: {why}")
            for option, why in UNSUPPORTED_OPTIONS.items()
        ),
        (["--sandbox=yes", "a.py"], "marimo run --sandbox does not work in a space"),
        (["a.py", "--mcp"], "marimo run --mcp does not work in a space"),
        (["--unheard-of", "a.py"], "marimo run has no option --unheard-of in a space"),
        (["a.py", "--n", "3"], "Run the notebook as a script instead: marimo-python a.py …"),
        (["a.py", "--", "3"], "Run the notebook as a script instead: marimo-python a.py …"),
        (["--"], "Run the notebook as a script instead: marimo-python NOTEBOOK.py …"),
        (["https://host/a.py"], "curl -LO https://host/a.py"),
        (["http://host/a.py"], "curl -LO http://host/a.py"),
    ],
)
def test_rejections_say_what_to_do(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as refused:
        paths_of("run", arguments)
    assert refused.value.code == 2, "as for any invalid command line"
    assert message in capsys.readouterr().err
