"""The requests that `marimo-job run` sends, and those it rejects."""

import base64
import hashlib
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

from sagemaker_marimo import image_packages, names, packages
from sagemaker_marimo.jobs import lock, notebook, prices, request, sender, settings, submit, sweep_command
from sagemaker_marimo.jobs.parser import parser
from sagemaker_marimo.jobs.settings import Clients, Refused

MARIMO = "1.2.3"  # of the deployed requirements.txt
LOCKED_MARIMO = f"marimo=={MARIMO} \\\n    --hash=sha256:00\n"
HERE = f"{sys.version_info.major}.{sys.version_info.minor}"
# __tests__/unit/stack/processing-job.test.ts holds the stack to the same file.
CONTRACT = json.loads((Path(__file__).parents[1] / "support/job-contract.json").read_text())
JOBS_JSON: dict[str, Any] = CONTRACT["jobs.json"] | {
    "python": HERE,
    "allowedInstanceTypes": ["ml.m5.large", "ml.m5.xlarge"],
}
POINTER = f"{'a' * 64}  0123456789abcdef\n"
NOTEBOOK = "import marimo\n\napp = marimo.App()\n\n\n@app.cell\ndef _():\n    return\n"
PINNED = "numpy==2.0.0 --hash=sha256:" + "0" * 64 + "\n"


class S3:
    """A fake S3 with objects by key, and S3's own errors for missing ones."""

    def __init__(self, **changes: object) -> None:
        self.real = client("s3")
        self.objects: dict[str, bytes] = {
            names.JOBS_JSON: json.dumps(JOBS_JSON | changes).encode(),
            names.POINTER: POINTER.encode(),
            "marimo/payload/0123456789abcdef/requirements.txt": LOCKED_MARIMO.encode(),
        }

    def _missing(self, operation: str, code: str) -> Exception:
        error: Exception = self.real.exceptions.ClientError({"Error": {"Code": code}}, operation)
        return error

    def get_object(self, **members: str) -> dict[str, Any]:
        if members["Key"] not in self.objects:
            raise self._missing("GetObject", "NoSuchKey")
        return {"Body": io.BytesIO(self.objects[members["Key"]])}

    def head_object(self, **members: str) -> dict[str, str]:
        if members["Key"] not in self.objects:
            raise self._missing("HeadObject", "404")
        # S3 computes it, whatever the sender says.
        digest = hashlib.sha256(self.objects[members["Key"]]).digest()
        return {"ChecksumSHA256": base64.b64encode(digest).decode()}

    def put_object(self, **members: Any) -> None:
        self.objects[members["Key"]] = members["Body"]


def client(service: str) -> Any:
    """A client for the API's model only; it sends nothing."""
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
    options: Namespace = parser().parse_args(["run", *words])
    return submit.prepare(
        Clients(s3, sagemaker(), None), settings.read(s3, "bucket-of-dev"), options, arguments
    )


def refusal(folder: Path, *words: str, arguments: Sequence[str] = (), **changes: object) -> str:
    with pytest.raises(Refused) as refused:
        prepare(folder, words, arguments, **changes)
    return str(refused.value)


def test_the_request_is_the_one_that_a_schedule_makes() -> None:
    job = CONTRACT["job"]
    bucket = S3()
    bucket.objects[names.JOBS_JSON] = json.dumps(CONTRACT["jobs.json"]).encode()
    bucket.objects[names.POINTER] = f"{job['payload']['sha256']}  {job['payload']['prefix'][-16:]}\n".encode()
    environment = settings.read(bucket, CONTRACT["jobs.json"]["bucket"])
    options = request.JobOptions(
        notebook=job["notebook"],
        arguments=job["arguments"],
        instance=job["instanceType"],
        minutes=job["timeLimitMinutes"],
        volume_gb=environment.volume_gb,
        secrets=[f"{name}={arn}" for name, arn in job["secrets"].items()],
    )
    who = sender.Sender(JOBS_JSON["roleArn"], "marimo-dev", job["dataPrefix"])
    built = request.build(options, environment, job["source"]["sha256"], job["name"], who)
    assert built == CONTRACT["request"]
    ana = sender.Sender("role", "marimo-dev-ana", "people/ana")
    hers = request.build(options, environment, job["source"]["sha256"], job["name"], ana)
    assert hers["Environment"]["MARIMO_NAME_PREFIX"] == "marimo-dev-ana", "as start.sh has it in her space"
    assert hers["Tags"] == [*built["Tags"], {"Key": "StudioUser", "Value": "ana"}], "she pays for it"


def test_each_family_has_the_image_and_the_volume_key_that_a_schedule_uses(folder: Path) -> None:
    uris = {"cpu": JOBS_JSON["imageUri"], "gpu": JOBS_JSON["gpuImageUri"]}
    for one in CONTRACT["instanceTypes"]:
        built = prepare(folder, ["--instance", one["instanceType"]], allowedInstanceTypes=None).request
        assert built["AppSpecification"]["ImageUri"] == uris[one["image"]]
        assert ("VolumeKmsKeyId" in built["ProcessingResources"]["ClusterConfig"]) == one["hasVolumeKey"], one


def test_another_image_must_be_in_a_repository_that_the_role_can_read(folder: Path) -> None:
    other = JOBS_JSON["imageUri"].replace("-cpu", "-other")
    built = prepare(folder, ["--image", other]).request
    assert built["AppSpecification"]["ImageUri"] == other
    for image in ("python:3", other.replace("sagemaker-distribution-prod", "elsewhere")):
        assert "is in no repository that jobs of dev can read" in refusal(folder, "--image", image)


def test_a_secret_is_in_the_request_by_its_arn_only(folder: Path) -> None:
    arn = JOBS_JSON["secrets"][0]
    built = prepare(folder, ["--secret", f"WAREHOUSE={arn}"]).request
    assert built["Environment"]["MARIMO_SECRET_WAREHOUSE"] == arn
    assert "must be NAME=ARN" in refusal(folder, "--secret", arn)
    other = arn.replace("warehouse", "other")
    assert f"jobs of dev can read {arn} (jobs.secrets)" in refusal(folder, "--secret", f"X={other}")
    assert "jobs of dev can read no secret" in refusal(folder, "--secret", f"X={arn}", secrets=[])


def test_names_of_jobs_are_those_that_the_role_may_use() -> None:
    prefix, end = CONTRACT["jobs.json"]["jobNamePrefix"], "261126101500-0a1b"
    assert request.job_name(prefix, CONTRACT["job"]["notebook"], end) == CONTRACT["job"]["name"]
    assert sweep_command.sweep_name(prefix, CONTRACT["job"]["notebook"], end) == CONTRACT["sweep"]["name"]


# The last is for sdk_defaults.py.
@pytest.mark.parametrize("member", CONTRACT["jobs.json"].keys() - {"serverlessEndpoints"})
def test_each_member_of_jobs_json_is_required(member: str) -> None:
    s3 = S3()
    members = {name: value for name, value in JOBS_JSON.items() if name != member}
    s3.put_object(Key=names.JOBS_JSON, Body=json.dumps(members).encode())
    with pytest.raises(Refused, match=f"lacks '{member}'"):
        settings.read(s3, "bucket-of-dev")


def test_a_valid_notebook_makes_a_valid_request(folder: Path) -> None:
    prepared = prepare(folder, ["--instance", "ml.m5.xlarge", "--time-limit", "5"], ["--n", "3"])
    api = sagemaker()
    # The stubber validates the request with botocore's model and compares it with the expected one.
    with Stubber(api) as stubber:
        stubber.add_response(
            "create_processing_job", {"ProcessingJobArn": "arn:aws:sagemaker:::"}, prepared.request
        )
        api.create_processing_job(**prepared.request)
    assert prepared.request["AppSpecification"]["ContainerArguments"] == ["analysis.py", "--n", "3"]
    assert prepared.request["StoppingCondition"] == {"MaxRuntimeInSeconds": 300}
    runtime, source = (one["S3Input"]["S3Uri"] for one in prepared.request["ProcessingInputs"])
    assert runtime == "s3://bucket-of-dev/marimo/payload/0123456789abcdef/"
    source_prefix = f"{prepared.sender.folder}/job-sources/{prepared.sources.sha256[:16]}"
    assert source == f"s3://bucket-of-dev/{source_prefix}/"
    assert prepared.request["Environment"]["MARIMO_SOURCE_SHA256"] == prepared.sources.sha256
    assert prepared.cost()["atMostByTheTimeLimit"].startswith("0.0192 USD")


def test_the_cost_of_a_type_without_a_price_is_unknown() -> None:
    assert prices.cost("ml.c8i.xlarge", 3600) is None
    assert "has no price for ml.c8i.xlarge" in prices.describe("ml.c8i.xlarge", 3600)


def test_a_type_of_ones_teams_is_allowed_and_named_beside_everybodys(folder: Path) -> None:
    changes: dict[str, Any] = {
        "roleArn": None,
        "userRoleArnPrefix": "arn:aws:iam::123456789012:role/marimo-dev-user-",
        "teamInstanceTypes": {"ana": ["ml.g5.12xlarge"]},
    }
    built = prepare(folder, ["--user", "ana", "--instance", "ml.g5.12xlarge"], **changes).request
    assert built["ProcessingResources"]["ClusterConfig"]["InstanceType"] == "ml.g5.12xlarge"
    said = refusal(folder, "--user", "ana", "--instance", "ml.m5.2xlarge", **changes)
    assert "ml.m5.xlarge (jobs.allowedInstanceTypes), or of ml.g5.12xlarge (your teams)" in said
    said = refusal(folder, "--user", "bo", "--instance", "ml.g5.12xlarge", **changes)
    assert "is not allowed in dev" in said and "your teams" not in said


@pytest.mark.parametrize(
    ("words", "arguments", "says"),
    [
        (["--instance", "ml.m5.2xlarge"], [], "is not allowed in dev"),
        (["--instance", "ml.m5.huge"], [], "is not an instance type"),
        (["--time-limit", "61"], [], "--time-limit 61 must be 1 to 60"),
        (["--time-limit", "0"], [], "--time-limit 0 must be"),
        (["--volume", "0"], [], "--volume 0 must be"),
        ([], ["x"] * 100, "101 arguments"),
        ([], ["x" * 257], "has 257 characters"),
        (["--with", "nothing.csv"], [], "--with nothing.csv does not exist"),
        (["--with", "/etc/hostname"], [], "must be inside"),
        (["no-such.py"], [], "no-such.py does not exist"),
    ],
)
def test_rejected(folder: Path, words: list[str], arguments: list[str], says: str) -> None:
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
def test_values_at_the_limits_are_accepted(folder: Path, words: list[str], arguments: list[str]) -> None:
    prepare(folder, words, arguments)


def test_satisfied_and_unsatisfied_requirements() -> None:
    have = {"pandas": "2.3.3", "boto3": "1.43.56"}
    met = ["pandas", "Pandas==2.3.3", "boto3>=1.40", "missing; python_version < '3'"]
    unmet = ["pandas==2.3.4", "polars", "pandas @ https://example.com/p.whl", "not a requirement"]
    assert [lock.is_satisfied(line, have) for line in met] == [True] * len(met)
    assert [lock.is_satisfied(line, have) for line in unmet] == [False] * len(unmet)


def test_installed_packages_need_no_lock_file(folder: Path, environment: Path) -> None:
    (environment / image_packages.LOCKED).write_text("{}")
    version = importlib.metadata.version("boto3")
    (folder / "nb.py").write_text(f'# /// script\n# dependencies = ["boto3=={version}"]\n# ///\n{NOTEBOOK}')
    assert lock.find(folder / "nb.py", None, HERE, MARIMO) is None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("print(1)\n", "it must import marimo and call marimo.App()"),
        ("def\n", "is not valid Python: line 1"),
        (f'# /// script\n# requires-python = "<3"\n# ///\n{NOTEBOOK}', "requires-python '<3'"),
        (f'# /// script\n# dependencies = ["cowsay"]\n# ///\n{NOTEBOOK}', "has no lock file"),
    ],
)
def test_a_notebook_that_cannot_run_is_rejected(folder: Path, text: str, says: str) -> None:
    (folder / "analysis.py").write_text(text)
    assert says in refusal(folder)


def test_metadata_that_the_image_satisfies_are_accepted(folder: Path) -> None:
    head = '# /// script\n# requires-python = ">=3.11"\n# dependencies = ["marimo"]\n# ///\n'
    (folder / "analysis.py").write_text(head + NOTEBOOK)
    assert prepare(folder).sources.lock is None


def test_all_problems_are_reported_at_once(folder: Path) -> None:
    message = refusal(folder, "--instance", "x", "--time-limit", "0", "--with", "none", imageUri=None)
    for part in ("--instance x", "--time-limit 0", "--with none", "no image of SageMaker Distribution"):
        assert part in message


def test_another_python_version_is_rejected(folder: Path) -> None:
    assert f"this is Python {HERE}" in refusal(folder, python="3.1")


def test_an_environment_without_jobs_says_what_to_do() -> None:
    s3 = S3()
    del s3.objects[names.JOBS_JSON]
    with pytest.raises(Refused, match="deploy it again"):
        settings.read(s3, "bucket-of-dev")


def test_expired_credentials_are_no_rejected_request(monkeypatch: pytest.MonkeyPatch) -> None:
    s3 = S3()

    def expired(**_: str) -> dict[str, Any]:
        raise s3._missing("GetObject", "ExpiredToken")

    monkeypatch.setattr(s3, "get_object", expired)
    with pytest.raises(s3.real.exceptions.ClientError, match="ExpiredToken"):
        settings.read(s3, "bucket-of-dev")


def test_local_imports_and_package_data_are_sent(folder: Path) -> None:
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


def test_the_files_of_the_app_are_sent(folder: Path) -> None:
    options = 'layout_file="layouts/analysis.grid.json", css_file="own.css", html_head_file="deep/head.html"'
    (folder / "analysis.py").write_text(NOTEBOOK.replace("App()", f"App({options}, app_title='other.txt')"))
    sent = {"layouts/analysis.grid.json", "own.css", "deep/head.html"}
    for name in (*sent, "other.txt", "layouts/other.grid.json"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("{}")
    prepared = prepare(folder)
    assert set(prepared.sources.files) == {"analysis.py", *sent}
    assert len(prepared.warnings) == 1  # other.txt


@pytest.mark.parametrize("value", ["", "none.css", "../outside.css", "data:application/json;base64,e30="])
def test_a_file_of_the_app_that_cannot_be_sent_is_left_out(folder: Path, value: str) -> None:
    (folder.parent / "outside.css").write_text("")
    (folder / "analysis.py").write_text(NOTEBOOK.replace("App()", f"App(css_file={value!r})"))
    assert set(prepare(folder).sources.files) == {"analysis.py"}


def test_links_that_lead_out_are_not_followed(folder: Path) -> None:
    outside = folder.parent / "outside"
    (outside / "deep").mkdir(parents=True)
    for name in ("credentials", "deep/secret.csv", "module.py"):
        (outside / name).write_text("secret")
    (folder / "data").mkdir()
    (folder / "data/own.csv").write_text("a")
    (folder / "data/inside.csv").symlink_to("own.csv")
    (folder / "data/credentials.csv").symlink_to(outside / "credentials")
    (folder / "data/deep").symlink_to(outside / "deep")
    (folder / "data/loop").symlink_to("loop")
    (folder / "module.py").symlink_to(outside / "module.py")
    (folder / "analysis.py").write_text(f"{NOTEBOOK}import module\n")
    prepared = prepare(folder, ["--with", str(folder / "data")])
    assert set(prepared.sources.files) == {"analysis.py", "data/own.csv", "data/inside.csv"}
    assert "secret" not in str(prepared.sources.files)
    for link in ("data/credentials.csv", "data/deep", "module.py"):
        assert f"{link} is a link that leads out of {folder}" in "\n".join(prepared.warnings)
    assert len(prepared.warnings) == 3
    assert "and not a link that leads out of it" in refusal(folder, "--with", str(folder / "data/deep"))


def test_the_output_does_not_land_in_the_current_folder(folder: Path) -> None:
    assert parser().parse_args(["run", "a.py"]).output == Path.home() / "marimo-jobs"
    assert parser().parse_args(["logs", "job", "--output", "."]).output == Path()


def test_a_file_that_the_notebook_names_but_is_not_sent_is_reported(folder: Path) -> None:
    (folder / "analysis.py").write_text(f"{NOTEBOOK}open('prices.csv')\n")
    assert prepare(folder).warnings == []
    (folder / "prices.csv").write_text("a\n")
    assert "names the file prices.csv, which is not sent" in "".join(prepare(folder).warnings)
    assert prepare(folder, ["--with", str(folder / "prices.csv")]).warnings == []


def test_sources_are_uploaded_once_and_a_change_has_another_prefix(folder: Path) -> None:
    s3, first = S3(), prepare(folder).sources
    assert (first.upload(s3, "b", "people/ana"), first.upload(s3, "b", "people/ana")) == (1, 0)
    # What another user sent is never run.
    assert first.upload(s3, "b", "people/bo") == 1
    (folder / "analysis.py").write_text(f"{NOTEBOOK}\n")
    assert prepare(folder).sources.sha256 != first.sha256


def test_what_somebody_changed_between_two_sends_is_uploaded_again(folder: Path) -> None:
    """An object of the same key was enough for the second sender to run what the attacker wrote there."""
    s3, sources = S3(), prepare(folder).sources
    assert sources.upload(s3, "b", "people/ana") == 1
    key = f"people/ana/job-sources/{sources.sha256[:16]}"
    s3.objects[f"{key}/analysis.py"] = b"print('poisoned')\n"
    s3.objects[f"{key}/SHA256SUMS"] = b"poisoned"
    assert sources.upload(s3, "b", "people/ana") == 1
    assert s3.objects[f"{key}/analysis.py"] == NOTEBOOK.encode()
    assert hashlib.sha256(s3.objects[f"{key}/SHA256SUMS"]).hexdigest() == sources.sha256


def test_a_file_with_the_name_of_the_list_is_rejected(folder: Path) -> None:
    (folder / "SHA256SUMS").write_text("mine")
    assert "'SHA256SUMS' cannot be sent" in refusal(folder, "--with", str(folder / "SHA256SUMS"))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (f"{PINNED}cowsay>=6\n", "is not pinned"),
        ("cowsay==6.1\n", "has no --hash"),
        ("marimo==0.1.0 --hash=sha256:00\n", f"has marimo 0.1.0, but jobs run marimo {MARIMO}"),
    ],
)
def test_an_invalid_lock_file_is_rejected(folder: Path, text: str, says: str) -> None:
    (folder / "mine.lock").write_text(text)
    assert says in refusal(folder, "--lock", str(folder / "mine.lock"))


def test_a_lock_with_the_same_marimo_is_sent(folder: Path) -> None:
    text = f"# made by uv\n{PINNED}{LOCKED_MARIMO}"
    (folder / "mine.lock").write_text(text)
    sources = prepare(folder, ["--lock", str(folder / "mine.lock")]).sources
    assert dict(sources.contents())["requirements.lock"] == text.encode()


def test_a_package_added_from_a_folder_is_rejected(folder: Path, environment: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(packages, "added", lambda _: {"mine": "-e file:///home/x/mine"})
    assert "from a folder" in refusal(folder)
    monkeypatch.setattr(packages, "added", lambda _: {})
    assert lock.find(folder / "analysis.py", None, HERE, MARIMO) is None


COMMIT = f"mine @ git+https://example.com/mine@{'a' * 40}"


@pytest.mark.parametrize(
    ("line", "is_accepted"), [(COMMIT, True), (f"{COMMIT}#subdirectory=x", True), (COMMIT[:-1], False)]
)
def test_a_package_from_git_is_pinned_by_its_whole_commit(line: str, is_accepted: bool) -> None:
    if is_accepted:
        assert lock.checked(f"{line}\n", "the lock", MARIMO)
    else:
        with pytest.raises(Refused, match="is not pinned"):
            lock.checked(f"{line}\n", "the lock", MARIMO)


def test_what_added_packages_need_and_nothing_has_is_reported(environment: Path) -> None:
    (environment / image_packages.LOCKED).write_text("{}")
    site = packages.site_packages(environment)

    def add(name: str, *requires: str) -> None:
        folder = site / f"{name}-1.0.dist-info"
        folder.mkdir(parents=True)
        lines = [f"Requires-Dist: {line}\n" for line in requires]
        (folder / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n{''.join(lines)}"
        )

    add("added", "boto3", "other >= 1", "only_extra ; extra == 'all'")
    assert lock.unmet(environment) == ["added 1.0 needs other >= 1, but other is not installed"]
    add("other")
    assert lock.unmet(environment) == []
    add("from-address", "boto3 @ https://example.com/boto3.whl")
    assert lock.unmet(environment) == []
    add("third", "other >= 2")
    assert lock.unmet(environment) == ["third 1.0 needs other >= 2, but other is 1.0"]


@pytest.mark.parametrize("name", ["a.py", f"{'long name ' * 9}.py", "---.py", "Ünïcode & co.py"])
def test_a_job_is_named_after_its_notebook(name: str) -> None:
    made = request.job_name("marimo-dev", name, request.stamp())
    shape = sagemaker().meta.service_model.shape_for("ProcessingJobName").metadata
    assert len(made) <= shape["max"]
    assert re.fullmatch(shape["pattern"], made)
