"""AWS Step Functions: moto runs a state machine. Its tasks call this server as AWS's call the services."""

import copy
import json
from typing import Any

import boto3
from moto.core.responses import ActionResult
from moto.settings import moto_server_port
from moto.stepfunctions.models import stepfunctions_backends
from moto.stepfunctions.responses import StepFunctionResponse

_key = "local"


def install(key: str) -> None:
    """`key` is the access key that this server requires, or empty."""
    global _key
    _key = key or _key
    responses: Any = StepFunctionResponse
    # Both are requests of Terraform's provider that moto does not have.
    responses.list_state_machine_versions = lambda _: ActionResult({"stateMachineVersions": []})
    responses.validate_state_machine_definition = _validate


def start(account: str, region: str, arn: str, event: str) -> None:
    """Starts an execution with the event as its input. Raises moto's error for an unknown state machine.

    moto's backend for executions is another one than that for state machines, and cannot be saved while
    threads run in it. So each execution has a backend of its own, and does not appear in ListExecutions.
    """
    from jsonata.jsonata import Jsonata
    from moto.stepfunctions.parser.asl.component.state.exec.state_task.service import (
        state_task_service_aws_sdk,
    )
    from moto.stepfunctions.parser.asl.jsonata import jsonata as moto_jsonata
    from moto.stepfunctions.parser.models import StepFunctionsParserBackend

    tasks: Any = state_task_service_aws_sdk
    tasks.boto_client_for = _client
    # moto leaves this to LocalStack's, which runs in a Java virtual machine.
    jsonata_: Any = moto_jsonata
    jsonata_._eval_jsonata = lambda expression: Jsonata(expression).evaluate(None)

    machine = copy.copy(stepfunctions_backends[account][region].describe_state_machine(arn))
    backend: Any = StepFunctionsParserBackend(region, account)
    machine.executions, machine.backend = [], backend
    backend.state_machines = [machine]
    backend.start_execution(arn, execution_input=event)


def _client(region: str, service: str, state_credentials: Any = None) -> Any:
    """moto's own has an access key of its own."""
    return boto3.client(
        service,
        region_name=region,
        endpoint_url=f"http://127.0.0.1:{moto_server_port()}",
        aws_access_key_id=_key,
        aws_secret_access_key=_key,
    )


def _validate(response: Any) -> ActionResult:
    """Guess: the words of a diagnostic."""
    from moto.stepfunctions.parser.asl.parse.asl_parser import AmazonStateLanguageParser

    try:
        AmazonStateLanguageParser.parse(json.loads(response.body)["definition"])
    except Exception as error:
        problem = {"severity": "ERROR", "code": "SCHEMA_VALIDATION_FAILED", "message": str(error)}
        return ActionResult({"result": "FAIL", "diagnostics": [problem], "truncated": False})
    return ActionResult({"result": "OK", "diagnostics": [], "truncated": False})
