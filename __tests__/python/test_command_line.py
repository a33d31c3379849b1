import pytest

from sagemaker_marimo.command_line import NOT_HERE, WITHOUT_EFFECT, WITHOUT_EFFECT_WITH_VALUE, paths_of


@pytest.mark.parametrize(
    ("arguments", "paths", "ignored"),
    [
        ([], [], []),
        (["a.py"], ["a.py"], []),
        (["--headless", "a.py", "-p", "2718"], ["a.py"], ["--headless", "-p"]),
        (["--port=2718", "a.py", "b.py"], ["a.py", "b.py"], ["--port"]),
        (["a.py", "--host"], ["a.py"], ["--host"]),
        # Else the value would be opened as a notebook.
        (["--base-url", "/x", "a.py"], ["a.py"], ["--base-url"]),
    ],
)
def test_paths_and_what_is_without_effect(
    arguments: list[str], paths: list[str], ignored: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert paths_of("edit", arguments) == paths
    told = f"Without effect on the space's server: {' '.join(ignored)}\n" if ignored else ""
    assert capsys.readouterr().err == told


@pytest.mark.parametrize("option", sorted(WITHOUT_EFFECT))
def test_option_without_effect(option: str) -> None:
    assert paths_of("edit", [option, "a.py"]) == ["a.py"]


@pytest.mark.parametrize("option", sorted(WITHOUT_EFFECT_WITH_VALUE))
def test_option_without_effect_with_its_value(option: str) -> None:
    assert paths_of("edit", [option, "value", "a.py"]) == ["a.py"]
    assert paths_of("edit", [f"{option}=value", "a.py"]) == ["a.py"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        *(
            ([option], f"marimo run {option} does not work in a space: {why}")
            for option, why in NOT_HERE.items()
        ),
        (["--sandbox=yes", "a.py"], "marimo run --sandbox does not work in a space"),
        (["a.py", "--mcp"], "marimo run --mcp does not work in a space"),
        (["--unheard-of", "a.py"], "marimo run has no option --unheard-of in a space"),
        (["a.py", "--n", "3"], "As a script it takes them: python a.py …"),
        (["a.py", "--", "3"], "As a script it takes them: python a.py …"),
        (["--"], "As a script it takes them: python NOTEBOOK.py …"),
        (["https://host/a.py"], "curl -LO https://host/a.py"),
        (["http://host/a.py"], "curl -LO http://host/a.py"),
    ],
)
def test_refusals_say_what_to_do(arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        paths_of("run", arguments)
    assert refused.value.code == 2, "as for any wrong command line"
    assert told in capsys.readouterr().err
