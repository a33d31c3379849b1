"""Validates requests with botocore's service model of SageMaker, without sending them.

Reads lines, each a JSON list of [operation, request], and answers each with one line, a JSON list of
problems. AWS and the local AWS ignore unknown members; here they are problems.
"""

import json
import sys
from collections.abc import Iterator
from typing import Any

from botocore.session import Session

from model_validation import WrongType, problems


def unknown(shape: Any, value: Any, path: str = "") -> Iterator[str]:
    if shape.type_name == "structure":
        for name, item in value.items():
            if name in shape.members:
                yield from unknown(shape.members[name], item, f"{path}.{name}")
            else:
                yield f"{path}.{name} is not a member"
    elif shape.type_name == "list":
        for item in value:
            yield from unknown(shape.member, item, path)


def main() -> None:
    model = Session().get_service_model("sagemaker")
    for line in sys.stdin:
        found = []
        for operation, request in json.loads(line):
            shape = model.operation_model(operation).input_shape
            try:
                wrong = [*problems(shape, request), *unknown(shape, request)]
            except WrongType as error:
                wrong = [str(error)]
            found += [f"{operation}: {problem}" for problem in wrong]
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
