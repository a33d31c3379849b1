"""Variables in the definition of a pipeline: what the SageMaker Python SDK writes for ExecutionVariables and
Join (workflow/execution_variables.py, functions.py)."""

from typing import Any

EXECUTION_ID = "Execution.PipelineExecutionId"


def fill(value: Any, variables: dict[str, str]) -> Any:
    """The value with its variables replaced. Raises ValueError for others."""
    if isinstance(value, list):
        return [fill(one, variables) for one in value]
    if not isinstance(value, dict):
        return value
    if set(value) == {"Get"}:
        if value["Get"] not in variables:
            # AWS has others, such as parameters and properties of steps.
            raise ValueError(f"{value['Get']!r} is not supported here, only {', '.join(variables)}")
        return variables[value["Get"]]
    if set(value) == {"Std:Join"}:
        join = value["Std:Join"]
        return str(join["On"]).join(str(fill(one, variables)) for one in join["Values"])
    return {name: fill(one, variables) for name, one in value.items()}
