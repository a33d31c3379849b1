"""The defaults file of the SageMaker Python SDK; compat/sagemaker-sdk.test.ts has what it sends."""

import io
import json
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from sagemaker_marimo import names, sdk_defaults, state

KEYS = {"aws_access_key_id": "x", "aws_secret_access_key": "x"}
JOBS = {
    "bucket": "b",
    "subnetIds": ["subnet-1"],
    "securityGroupIds": ["sg-1"],
    "encryptionKeyArn": "arn:aws:kms:us-east-1:123456789012:key/0",
    "tags": {"Environment": "dev"},
    "serverlessEndpoints": True,
}


@pytest.fixture
def file(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of a space of ana's, which a stubbed S3 answers with JOBS."""
    (state.STATE / "space.env").write_text("MARIMO_BUCKET=b\nMARIMO_PREFIX=s3://b/people/ana\n")
    s3 = boto3.client("s3", region_name="us-east-1", **KEYS)
    stubber = Stubber(s3)
    body = io.BytesIO(json.dumps(JOBS).encode())
    stubber.add_response("get_object", {"Body": body}, {"Bucket": "b", "Key": names.JOBS_JSON})
    stubber.activate()
    monkeypatch.setattr(boto3, "client", lambda *_args, **_options: s3)
    path = tmp_path / "sagemaker/config.yaml"
    monkeypatch.setenv("SAGEMAKER_ADMIN_CONFIG_OVERRIDE", str(path))
    return path


def modules(file: Path) -> Any:
    return json.loads(file.read_text().removeprefix(sdk_defaults.MARK))["SageMaker"]["PythonSDK"]["Modules"]


def test_names_the_users_own_folder_and_the_network(file: Path) -> None:
    file.parent.mkdir()
    sdk_defaults.main()
    assert modules(file) == {
        "Session": {"DefaultS3Bucket": "b", "DefaultS3ObjectKeyPrefix": "people/ana/sagemaker"},
        "ModelTrainer": {"networking": {"subnets": ["subnet-1"], "security_group_ids": ["sg-1"]}},
    }
    tags = json.loads(file.read_text().removeprefix(sdk_defaults.MARK))["SageMaker"]["ProcessingJob"]["Tags"]
    assert tags == [{"Key": "Environment", "Value": "dev"}, {"Key": "StudioUser", "Value": "ana"}]
    assert [one.name for one in file.parent.iterdir()] == ["config.yaml"]


def test_replaces_its_own_file_and_leaves_another_alone(file: Path) -> None:
    file.parent.mkdir()
    file.write_text("SchemaVersion: '1.0'\n")
    sdk_defaults.main()
    assert file.read_text() == "SchemaVersion: '1.0'\n"
    # Control: a file of an earlier start.
    file.write_text(f"{sdk_defaults.MARK}{{}}\n")
    assert sdk_defaults.write(file, sdk_defaults.defaults(JOBS, "people/ana"))
    assert modules(file)["Session"]["DefaultS3Bucket"] == "b"


def test_creates_no_folder_outside_of_the_image(file: Path) -> None:
    sdk_defaults.main()
    assert not file.parent.exists()


def test_says_why_it_is_not_written(file: Path) -> None:
    file.parent.mkdir()
    (state.STATE / "space.env").write_text("MARIMO_BUCKET=b\n")
    with pytest.raises(SystemExit, match=r"are not written to .*config.yaml: KeyError\('MARIMO_PREFIX'\)"):
        sdk_defaults.main()


def test_gives_models_a_network_only_where_no_endpoint_is_serverless() -> None:
    assert "Model" not in sdk_defaults.defaults(JOBS, "people/ana")["SageMaker"]
    vpc = {"Subnets": ["subnet-1"], "SecurityGroupIds": ["sg-1"]}
    private = {**JOBS, "serverlessEndpoints": False}
    assert sdk_defaults.defaults(private, "people/ana")["SageMaker"]["Model"] == {"VpcConfig": vpc}
