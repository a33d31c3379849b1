"""What `marimo-job run` refuses, and what it sends."""

import importlib.metadata
import io
import json
import re
import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from sagemaker_marimo import packages
from sagemaker_marimo.jobs import command, lock, notebook, request, settings, submit
from sagemaker_marimo.jobs.settings import Clients, Refused

HERE = f"{sys.version_info.major}.{sys.version_info.minor}"
JOBS_JSON: dict[str, Any] = {
    "environment": "dev",
    "region": "us-east-1",
    "bucket": "bucket-of-dev",
    "jobNamePrefix": "marimo-dev",
    "roleArn": "arn:aws:iam::123456789012:role/marimo-dev-jobs",
    "pipelineRoleArn": "arn:aws:iam::123456789012:role/marimo-dev-pipelines",
    "imageUri": "885854791233.dkr.ecr.us-east-1.amazonaws.com/sagemaker-distribution-prod:4.4.1-cpu",
    "python": HERE,
    "subnetIds": ["subnet-0123456789abcdef0"],
    "securityGroupIds": ["sg-0123456789abcdef0"],
    "encryptionKeyArn": "arn:aws:kms:us-east-1:123456789012:key/01234567-89ab-cdef-0123-456789abcdef",
    "allowedInstanceTypes": ["ml.m5.large", "ml.m5.xlarge"],
    "defaultInstanceType": "ml.m5.large",
    "maximumMinutes": 60,
    "volumeGb": 30,
    "tags": {"Project": "sagemaker-marimo", "Environment": "dev"},
}
POINTER = f"{'a' * 64}  0123456789abcdef\n"
NOTEBOOK = "import marimo\n\napp = marimo.App()\n\n\n@app.cell\ndef _():\n    return\n"
PINNED = "numpy==2.0.0 --hash=sha256:" + "0" * 64 + "\n"


class S3:
    """Objects by their keys; S3's own errors for those that are missing."""

    def __init__(self, **changes: object) -> None:
        self.real = client("s3")
        self.objects: dict[str, bytes] = {
            settings.JOBS_JSON: json.dumps(JOBS_JSON | changes).encode(),
            settings.POINTER: POINTER.encode(),
            "marimo/payload/0123456789abcdef/requirements.txt": b"marimo==0.25.2 \\\n    --hash=sha256:00\n",
        }

    def _missing(self, operation: str, code: str) -> Exception:
        error: Exception = self.real.exceptions.ClientError({"Error": {"Code": code}}, operation)
        return error

    def get_object(self, **members: str) -> dict[str, Any]:
        if members["Key"] not in self.objects:
            raise self._missing("GetObject", "NoSuchKey")
        return {"Body": io.BytesIO(self.objects[members["Key"]])}

    def head_object(self, **members: str) -> None:
        if members["Key"] not in self.objects:
            raise self._missing("HeadObject", "404")

    def put_object(self, **members: Any) -> None:
        self.objects[members["Key"]] = members["Body"]


def client(service: str) -> Any:
    """For the API's model alone: it sends nothing."""
    return boto3.Session("id", "none", region_name="us-east-1").client(service)


def sagemaker() -> Any:
    return client("sagemaker")


@pytest.fixture
def folder(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(notebook, "check", lambda *_: iter(()))
    (home / "analysis.py").write_text(NOTEBOOK)
    return home


def prepare(
    folder: Path, words: Sequence[str] = (), arguments: Sequence[str] = (), **changes: object
) -> submit.Prepared:
    s3 = S3(**changes)
    words = list(words)
    if not any(word.endswith(".py") for word in words):
        words.insert(0, str(folder / "analysis.py"))
    options: Namespace = command.parser().parse_args(["run", *words])
    return submit.prepare(
        Clients(s3, sagemaker(), None), settings.read(s3, "bucket-of-dev"), options, arguments
    )


def refusal(folder: Path, *words: str, arguments: Sequence[str] = (), **changes: object) -> str:
    with pytest.raises(Refused) as refused:
        prepare(folder, words, arguments, **changes)
    return str(refused.value)


def test_a_notebook_that_nothing_speaks_against_is_a_request_of_the_api(folder: Path) -> None:
    prepared = prepare(folder, ["--instance", "ml.m5.xlarge", "--time-limit", "5"], ["--n", "3"])
    api = sagemaker()
    # The stubber checks it against botocore's own model, and that it is just this.
    with Stubber(api) as stubber:
        stubber.add_response(
            "create_processing_job", {"ProcessingJobArn": "arn:aws:sagemaker:::"}, prepared.request
        )
        api.create_processing_job(**prepared.request)
    assert prepared.request["AppSpecification"]["ContainerArguments"] == ["analysis.py", "--n", "3"]
    assert prepared.request["StoppingCondition"] == {"MaxRuntimeInSeconds": 300}
    runtime, source = (one["S3Input"]["S3Uri"] for one in prepared.request["ProcessingInputs"])
    assert runtime == "s3://bucket-of-dev/marimo/payload/0123456789abcdef/"
    assert source == f"s3://bucket-of-dev/{prepared.sources.prefix}"
    assert prepared.cost()["atMostByTheTimeLimit"].startswith("0.0192 USD")


@pytest.mark.parametrize(
    ("words", "arguments", "says"),
    [
        (["--instance", "ml.m5.2xlarge"], [], "is not allowed in dev"),
        (["--instance", "ml.m5.huge"], [], "is no instance type"),
        (["--time-limit", "61"], [], "--time-limit 61 is outside 1 to 60"),
        (["--time-limit", "0"], [], "--time-limit 0 is outside"),
        (["--volume", "0"], [], "--volume 0 is outside"),
        ([], ["x"] * 100, "101 arguments"),
        ([], ["x" * 257], "has 257 characters"),
        (["--with", "nothing.csv"], [], "--with nothing.csv does not exist"),
        (["--with", "/etc/hostname"], [], "is not below"),
        (["no-such.py"], [], "no-such.py does not exist"),
    ],
)
def test_refusal(folder: Path, words: list[str], arguments: list[str], says: str) -> None:
    assert says in refusal(folder, *words, arguments=arguments)


@pytest.mark.parametrize(
    ("words", "arguments"),
    [
        (["--instance", "ml.m5.xlarge"], []),
        (["--time-limit", "60"], []),
        (["--volume", "1"], []),
        ([], ["x"] * 99),
        ([], ["x" * 256]),
    ],
)
def test_what_is_just_within_passes(folder: Path, words: list[str], arguments: list[str]) -> None:
    prepare(folder, words, arguments)


def test_knows_what_a_space_has_and_what_it_lacks() -> None:
    have = {"pandas": "2.3.3", "boto3": "1.43.56"}
    met = ["pandas", "Pandas==2.3.3", "boto3>=1.40", "missing; python_version < '3'"]
    unmet = ["pandas==2.3.4", "polars", "pandas @ https://example.com/p.whl", "not a requirement"]
    assert [lock.is_met(line, have) for line in met] == [True] * len(met)
    assert [lock.is_met(line, have) for line in unmet] == [False] * len(unmet)


def test_a_space_needs_no_lock_for_what_it_has(folder: Path, environment: Path) -> None:
    (environment / packages.LOCKED).write_text("{}")
    version = importlib.metadata.version("boto3")
    (folder / "nb.py").write_text(f'# /// script\n# dependencies = ["boto3=={version}"]\n# ///\n{NOTEBOOK}')
    assert lock.find(folder / "nb.py", None, HERE, "0.25.2") is None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("print(1)\n", "nothing in it calls marimo.App()"),
        ("def\n", "is no Python: line 1"),
        (f'# /// script\n# requires-python = "<3"\n# ///\n{NOTEBOOK}', "requires-python '<3'"),
        (f'# /// script\n# dependencies = ["cowsay"]\n# ///\n{NOTEBOOK}', "has no lock file"),
    ],
)
def test_a_notebook_that_cannot_run_is_refused(folder: Path, text: str, says: str) -> None:
    (folder / "analysis.py").write_text(text)
    assert says in refusal(folder)


def test_a_notebook_whose_metadata_go_with_the_image_passes(folder: Path) -> None:
    head = '# /// script\n# requires-python = ">=3.11"\n# dependencies = ["marimo"]\n# ///\n'
    (folder / "analysis.py").write_text(head + NOTEBOOK)
    assert prepare(folder).sources.lock is None


def test_all_problems_are_told_at_once(folder: Path) -> None:
    told = refusal(folder, "--instance", "x", "--time-limit", "0", "--with", "none", imageUri=None)
    for part in ("--instance x", "--time-limit 0", "--with none", "has no image"):
        assert part in told


def test_another_python_is_refused(folder: Path) -> None:
    assert f"this is Python {HERE}" in refusal(folder, python="3.1")


def test_an_environment_without_jobs_says_what_to_do() -> None:
    s3 = S3()
    del s3.objects[settings.JOBS_JSON]
    with pytest.raises(Refused, match="Deploy it again"):
        settings.read(s3, "bucket-of-dev")


def test_what_it_imports_beside_it_is_sent_with_a_packages_data(folder: Path) -> None:
    (folder / "analysis.py").write_text(f"{NOTEBOOK}import beside, os\nfrom deep.inner import x\n")
    for name in ("beside.py", "second.py", "other.py", "deep/__init__.py", "deep/inner.py", "deep/data.csv"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("")
    (folder / "beside.py").write_text("import second\nopen('given.csv')\n")
    (folder / "given.csv").write_text("a\n")
    names = set(prepare(folder, ["--with", str(folder / "given.csv")]).sources.files)
    assert names == {
        *("analysis.py", "beside.py", "second.py", "given.csv"),
        *("deep/__init__.py", "deep/inner.py", "deep/data.csv"),
    }


def test_a_file_that_stays_behind_though_the_notebook_names_it_is_told(folder: Path) -> None:
    (folder / "analysis.py").write_text(f"{NOTEBOOK}open('prices.csv')\n")
    assert prepare(folder).left_behind == []
    (folder / "prices.csv").write_text("a\n")
    assert prepare(folder).left_behind == ["prices.csv"]
    assert prepare(folder, ["--with", str(folder / "prices.csv")]).left_behind == []


def test_sources_are_sent_once_and_a_change_is_another_prefix(folder: Path) -> None:
    s3, first = S3(), prepare(folder).sources
    assert (first.upload(s3, "b"), first.upload(s3, "b")) == (1, 0)
    (folder / "analysis.py").write_text(f"{NOTEBOOK}\n")
    assert prepare(folder).sources.hash != first.hash


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (f"{PINNED}cowsay>=6\n", "is not pinned"),
        ("cowsay==6.1\n", "has no --hash"),
        ("marimo==0.1.0 --hash=sha256:00\n", "has marimo 0.1.0, and jobs run marimo 0.25.2"),
    ],
)
def test_a_lock_that_a_job_cannot_install_is_refused(folder: Path, text: str, says: str) -> None:
    (folder / "mine.lock").write_text(text)
    assert says in refusal(folder, "--lock", str(folder / "mine.lock"))


def test_a_lock_with_the_same_marimo_is_sent(folder: Path) -> None:
    text = f"# made by uv\n{PINNED}marimo==0.25.2 \\\n    --hash=sha256:00\n"
    (folder / "mine.lock").write_text(text)
    sources = prepare(folder, ["--lock", str(folder / "mine.lock")]).sources
    assert dict(sources.contents())["requirements.lock"] == text.encode()


def test_a_package_added_from_a_folder_is_refused(folder: Path, environment: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(packages, "added", lambda _: {"mine": "-e file:///home/x/mine"})
    assert "from a folder" in refusal(folder)
    monkeypatch.setattr(packages, "added", lambda _: {})
    assert lock.find(folder / "analysis.py", None, HERE, "0.25.2") is None


@pytest.mark.parametrize("name", ["a.py", f"{'long name ' * 9}.py", "---.py", "Ünïcode & co.py"])
def test_a_job_is_named_after_its_notebook(name: str) -> None:
    made = request.job_name("marimo-dev", name, request.stamp())
    shape = sagemaker().meta.service_model.shape_for("ProcessingJobName").metadata
    assert len(made) <= shape["max"]
    assert re.fullmatch(shape["pattern"], made)
