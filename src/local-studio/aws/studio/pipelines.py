"""SageMaker pipelines. pipeline_executions.py runs them."""

from dataclasses import dataclass, field
from datetime import UTC, datetime

from . import pipeline_definition
from .errors import ConflictException, ResourceNotFound, ValidationException
from .pipeline_definition import Step
from .pipeline_executions import Execution
from .references import check_assumable
from .state import Members, Resource, Studio


@dataclass
class Pipeline(Resource):
    token: str = ""
    steps: tuple[Step, ...] = ()
    executions: dict[str, Execution] = field(default_factory=dict)  # by ARN

    def describe(self) -> Members:
        return {
            **self.members,
            "PipelineStatus": "Active",
            "LastRunTime": self.members.get("LastExecutionTime"),
        }


def find(studio: Studio, request: Members) -> Pipeline:
    name = request["PipelineName"].rsplit("/", 1)[-1]  # or its ARN
    if name not in studio.pipelines:
        # Source: DescribePipeline, errors (ResourceNotFound). Guess: the wording.
        raise ResourceNotFound(f"Pipeline '{studio.arn(f'pipeline/{name.lower()}')}' does not exist.")
    pipeline: Pipeline = studio.pipelines[name]
    return pipeline


def create(studio: Studio, request: Members) -> Members:
    name, token = request["PipelineName"], request["ClientRequestToken"]
    existing = studio.pipelines.get(name)
    if existing is not None and existing.token == token:
        return {"PipelineArn": existing.arn}
    if existing is not None:
        # Source: aws/sagemaker-python-sdk, workflow/pipeline.py, upsert: the code and "already exists".
        raise ValidationException(
            "Pipeline names must be unique within an AWS account and region. "
            f"Pipeline with name ({name}) already exists."
        )
    steps = pipeline_definition.parse(_definition(request))
    check_assumable(studio, request["RoleArn"])
    members = {**request, "PipelineArn": studio.arn(f"pipeline/{name.lower()}")}
    members.setdefault("PipelineDisplayName", name)
    tags = members.pop("Tags", [])
    del members["ClientRequestToken"]
    pipeline = Pipeline("Pipeline", members["PipelineArn"], members, tags, token, steps)
    studio.pipelines[name] = pipeline
    return {"PipelineArn": pipeline.arn}


def _definition(request: Members) -> str:
    if "PipelineDefinitionS3Location" in request or "PipelineDefinition" not in request:
        # Guess: AWS accepts both; here only PipelineDefinition is supported.
        raise ValidationException("PipelineDefinition is required; an S3 location is not supported here.")
    return str(request["PipelineDefinition"])


def update(studio: Studio, request: Members) -> Members:
    pipeline = find(studio, request)
    if "PipelineDefinition" in request or "PipelineDefinitionS3Location" in request:
        pipeline.steps = pipeline_definition.parse(_definition(request))
    if "RoleArn" in request:
        check_assumable(studio, request["RoleArn"])
    pipeline.members |= {**request, "LastModifiedTime": datetime.now(UTC)}
    return {"PipelineArn": pipeline.arn}


def describe(studio: Studio, request: Members) -> Members:
    return find(studio, request).describe()


def delete(studio: Studio, request: Members) -> Members:
    pipeline = find(studio, request)
    if any(not execution.is_over for execution in pipeline.executions.values()):
        # Source: DeletePipeline: only without running executions; errors (ConflictException). Guess: the
        # wording.
        raise ConflictException(f"Pipeline {pipeline.arn} has running executions.")
    del studio.pipelines[request["PipelineName"]]
    return {"PipelineArn": pipeline.arn}


def _execution(studio: Studio, request: Members) -> Execution:
    arn = request["PipelineExecutionArn"]
    pipeline: Pipeline
    for pipeline in studio.pipelines.values():
        if arn in pipeline.executions:
            return pipeline.executions[arn]
    # Source: DescribePipelineExecution, errors (ResourceNotFound). Guess: the wording.
    raise ResourceNotFound(f"Pipeline execution '{arn}' does not exist.")


def _max_parallel(*members: Members) -> int:
    for one in members:
        if "ParallelismConfiguration" in one:
            return int(one["ParallelismConfiguration"]["MaxParallelExecutionSteps"])
    # Guess: AWS has job quotas instead.
    return 50


def start_execution(studio: Studio, request: Members) -> Members:
    pipeline = find(studio, request)
    for execution in pipeline.executions.values():
        if request["ClientRequestToken"] in execution.tokens:
            return {"PipelineExecutionArn": execution.arn}
    if request.get("PipelineParameters") or "SelectiveExecutionConfig" in request:
        # Guess: AWS supports both; here a definition has no parameters.
        raise ValidationException("PipelineParameters and SelectiveExecutionConfig are not supported here.")
    execution = Execution.of(
        studio,
        pipeline.arn,
        pipeline.members["RoleArn"],
        pipeline.steps,
        _max_parallel(request, pipeline.members),
    )
    execution.tokens.add(request["ClientRequestToken"])
    names = ("PipelineExecutionDisplayName", "PipelineExecutionDescription")
    execution.members |= {name: request[name] for name in names if name in request}
    pipeline.executions[execution.arn] = execution
    pipeline.members["LastExecutionTime"] = execution.members["CreationTime"]
    execution.advance()
    return {"PipelineExecutionArn": execution.arn}


def stop_execution(studio: Studio, request: Members) -> Members:
    execution = _execution(studio, request)
    if request["ClientRequestToken"] not in execution.tokens:
        execution.tokens.add(request["ClientRequestToken"])
        if execution.status != "Executing":
            # Source: StopPipelineExecution, errors (ConflictException). Guess: when, and the wording.
            raise ConflictException(f"Pipeline execution {execution.arn} is {execution.status}.")
        execution.stop()
    return {"PipelineExecutionArn": execution.arn}


def retry_execution(studio: Studio, request: Members) -> Members:
    execution = _execution(studio, request)
    if request["ClientRequestToken"] not in execution.tokens:
        execution.tokens.add(request["ClientRequestToken"])
        if execution.status not in ("Failed", "Stopped"):
            # Source: RetryPipelineExecution, errors (ConflictException). Guess: when, and the wording.
            raise ConflictException(f"Pipeline execution {execution.arn} is {execution.status}.")
        execution.max_parallel = _max_parallel(request, execution.members)
        execution.retry()
    return {"PipelineExecutionArn": execution.arn}


def describe_execution(studio: Studio, request: Members) -> Members:
    return _execution(studio, request).describe()


def steps_of(studio: Studio, request: Members) -> list[Members]:
    return _execution(studio, request).describe_steps()
