"""A job's output in the bucket, and its exit status."""

import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.response import StreamingBody
from botocore.stub import Stubber

from sagemaker_marimo.jobs import results

PREFIX = "people/ana/jobs/marimo-dev-analysis-261124170000-ab12"
START = datetime(2026, 11, 24, 17, 0, tzinfo=UTC)


def described(status: str, **more: object) -> dict[str, Any]:
    result = {"OutputName": "result", "S3Output": {"S3Uri": f"s3://bucket/{PREFIX}"}}
    return {"ProcessingJobStatus": status, "ProcessingOutputConfig": {"Outputs": [result]}, **more}


def fetched(folder: Path, objects: dict[str, str], refused: tuple[str, ...] = ()) -> list[str]:
    """The files that fetch downloads. Objects in `refused` are listed but must not be requested."""
    s3 = boto3.client(
        "s3",
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",  # noqa: S106
    )
    with Stubber(s3) as stub:
        names = [*objects, *refused]
        half = len(names) // 2
        for part, more in ((names[:half], True), (names[half:], False)):
            contents = [{"Key": f"{PREFIX}/{name}", "Size": 1} for name in part]
            answer = {
                "Contents": contents,
                "IsTruncated": more,
                **({"NextContinuationToken": "t"} if more else {}),
            }
            expected = {
                "Bucket": "bucket",
                "Prefix": f"{PREFIX}/",
                **({} if more else {"ContinuationToken": "t"}),
            }
            stub.add_response("list_objects_v2", answer, expected)
            for name in part:
                if name in objects:
                    body = objects[name].encode()
                    size = {"ContentLength": len(body), "ETag": '"e"'}
                    stub.add_response("head_object", size)
                    stream = StreamingBody(io.BytesIO(body), len(body))
                    stub.add_response("get_object", {**size, "Body": stream})
        found = results.fetch(s3, described("Completed"), folder)
        stub.assert_no_pending_responses()
    return [str(file.relative_to(folder)) for file in found]


def test_all_pages_are_fetched_and_the_html_page_comes_first(tmp_path: Path) -> None:
    objects = {"files/a.csv": "a", "files/deep/b.csv": "b", "page.html": "<html>", "result.json": "{}"}
    assert fetched(tmp_path, objects) == ["page.html", "files/a.csv", "files/deep/b.csv", "result.json"]
    assert {name: (tmp_path / name).read_text() for name in objects} == objects


def test_keys_outside_the_folder_and_empty_folders_are_ignored(tmp_path: Path) -> None:
    refused = ("../../evil", "files/", "files/../../evil", "/etc/evil")
    assert fetched(tmp_path / "in", {"page.html": "p", "files/..a": "dots"}, refused) == [
        "page.html",
        "files/..a",
    ]
    assert sorted(file.name for file in tmp_path.rglob("*") if file.is_file()) == ["..a", "page.html"]


@pytest.mark.parametrize(
    ("description", "result", "status"),
    [
        (described("Completed"), {"exitStatus": 0}, 0),
        (described("Completed"), {}, 0),
        # A sweep's row whose notebook raised an exception.
        (described("Completed"), {"exitStatus": 1}, 1),
        (described("Failed"), {"exitStatus": 1}, 1),
        (described("Failed", FailureReason="AlgorithmError: , exit code: 3"), {}, 3),
        (described("Failed", FailureReason="AlgorithmError: Exit Code: 139"), {}, 139),
        (described("Failed", FailureReason="InternalServerError: try again, exit code: 3"), {}, 75),
        (described("Failed", FailureReason="CapacityError: none"), {}, 75),
        # The notebook succeeded, but a later step failed.
        (described("Failed"), {"exitStatus": 0}, 75),
        (described("Failed"), {"exitStatus": "1"}, 75),
        (described("Stopped"), {"exitStatus": 143}, 143),
        (described("Stopped"), {}, 75),
    ],
)
def test_exit_status(description: dict[str, Any], result: dict[str, Any], status: int) -> None:
    assert results.exit_status(description, result) == status


@pytest.mark.parametrize("content", ["", "[1]", "no json", None])
def test_an_invalid_result_is_empty(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "result.json").write_text(content)
    assert results.read_result(tmp_path) == {}


def test_a_result_is_read(tmp_path: Path) -> None:
    (tmp_path / "result.json").write_text(json.dumps({"exitStatus": 1}))
    assert results.read_result(tmp_path) == {"exitStatus": 1}


def test_the_result_is_read_from_the_bucket(tmp_path: Path) -> None:
    class S3:
        def get_object(self, **request: str) -> dict[str, Any]:
            assert request["Bucket"] == "bucket"
            if request["Key"] != f"{PREFIX}/result.json":
                raise ClientError({"Error": {"Code": "NoSuchKey"}}, "GetObject")
            return {"Body": io.BytesIO(b'{"exitStatus": 1}')}

    assert results.fetch_result(S3(), described("Completed")) == {"exitStatus": 1}
    other = {"OutputName": "result", "S3Output": {"S3Uri": "s3://bucket/people/ana/jobs/other"}}
    stopped = described("Stopped") | {"ProcessingOutputConfig": {"Outputs": [other]}}
    assert results.fetch_result(S3(), stopped) == {}


def test_a_page_is_named_only_if_there_is_one(tmp_path: Path) -> None:
    result, page = tmp_path / "result.json", tmp_path / "page.html"
    assert results.describe("job", tmp_path, [page, result]) == f"2 files in {tmp_path}; the page is {page}"
    assert results.describe("job", tmp_path, [result]) == f"1 file in {tmp_path}; there is no page"
    assert results.describe("job", tmp_path, []) == "job has no output"


def test_the_billed_time_is_the_containers() -> None:
    times = {"ProcessingStartTime": START, "ProcessingEndTime": START + timedelta(seconds=90)}
    assert results.seconds(described("Completed", CreationTime=START - timedelta(hours=1), **times)) == 90
    assert results.seconds(described("Failed", ProcessingEndTime=START)) == 0


def test_the_reason_is_sagemakers_and_the_notebooks() -> None:
    failed = described("Failed", FailureReason="AlgorithmError: exit code: 1", ExitMessage="ValueError: no\n")
    assert results.reason(failed) == "AlgorithmError: exit code: 1\nValueError: no"
    assert results.reason(described("Completed")) == ""
    # A job that could not write its message, or a row of a sweep.
    altered = "AlgorithmError: , exit code: 65"
    assert "not those that were sent" in results.reason(described("Failed", FailureReason=altered))
    assert "sent" not in results.reason(described("Failed", FailureReason=altered.replace("65", "70")))
