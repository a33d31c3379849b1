"""Prints the requests to AWS of a training and a processing job, as the SageMaker Python SDK sends them.

Nothing is sent: botocore's call is replaced. The lists of buckets are denied, as in a space. The argument is
a folder with train.py.
"""

import io
import json
import sys
from contextlib import redirect_stdout
from typing import Any

import boto3
from botocore.client import BaseClient
from botocore.exceptions import ClientError

ROLE = "arn:aws:iam::123456789012:role/marimo-dev-user-bo"
IMAGE = "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:2.8"
ANSWERS = {
    "GetCallerIdentity": {"Account": "123456789012", "Arn": f"{ROLE}/SageMaker"},
    "CreateTrainingJob": {"TrainingJobArn": "arn:aws:sagemaker:us-east-1:123456789012:training-job/x"},
    "CreateProcessingJob": {"ProcessingJobArn": "arn:aws:sagemaker:us-east-1:123456789012:processing-job/x"},
}
requests: list[tuple[str, dict[str, Any]]] = []


class Sent(Exception):
    """Nothing after the create is of interest."""


def call(_client: BaseClient, operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
    requests.append((operation, {key: value for key, value in parameters.items() if key != "Body"}))
    if operation == "ListBuckets":
        raise ClientError({"Error": {"Code": "AccessDenied", "Message": "Access Denied"}}, operation)
    if operation.startswith("Describe"):
        raise Sent
    return ANSWERS.get(operation, {})


def main(source: str) -> None:
    from sagemaker.core.helper.session_helper import Session
    from sagemaker.core.processing import Processor
    from sagemaker.train import ModelTrainer
    from sagemaker.train.configs import InputData, MetricDefinition, SourceCode

    session = Session(boto3.Session(region_name="us-east-1"))
    common = {"role": ROLE, "sagemaker_session": session}
    code = SourceCode(source_dir=source, entry_script="train.py")
    # The training of sample-notebooks/06_train.py.
    trainer = ModelTrainer(
        training_image=IMAGE,
        source_code=code,
        base_job_name="marimo-dev-bo-train",
        hyperparameters={"epochs": 40},
        input_data_config=[InputData(channel_name="data", data_source="s3://the-bucket/people/bo/data/")],
        **common,
    ).with_metric_definitions([MetricDefinition(name="validation_rmse", regex=r"validation_rmse=([\d.]+)")])
    processor = Processor(
        image_uri=IMAGE,
        base_job_name="marimo-dev-bo-process",
        instance_type="ml.m5.large",
        instance_count=1,
        **common,
    )
    for run in (trainer.train, processor.run):
        try:
            run(wait=False, logs=False)
        except Sent:
            continue


BaseClient._make_api_call = call
with redirect_stdout(io.StringIO()):
    main(sys.argv[1])
json.dump(requests, sys.stdout, default=str)
