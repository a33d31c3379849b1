"""Serves the model of an endpoint, as SageMaker's scikit-learn container does
(aws/sagemaker-scikit-learn-container, `serving.py`; aws/sagemaker-containers, `_transformer.py`).

usage: python model_server.py FOLDER

FOLDER has model.tar.gz, which is unpacked there. Its `code/inference.py` has `model_fn`, and may have
`input_fn`, `predict_fn`, `output_fn` or `transform_fn`. Answers GET /ping and POST /invocations on a free
port of the loopback interface, one request at a time. Prints READY and the port when the model is loaded.

Runs in the virtual environment that replaces the image, without the packages of `code/requirements.txt`.
"""

import csv
import importlib
import io
import json
import os
import sys
import tarfile
import traceback
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import numpy as np

READY = "The model server listens on port "
HOST = "127.0.0.1"
JSON = "application/json"
Answer = tuple[int, str, bytes]


class UnsupportedFormatError(Exception):
    """The value is a content type that has no default."""


def _csv_to_array(text: str) -> Any:
    return np.array(list(csv.reader(io.StringIO(text), strict=True))).squeeze().astype(float)


def _array_to_csv(prediction: Any) -> str:
    array = np.array(prediction)
    rows = array.reshape(-1, 1) if array.ndim == 1 else array
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows(rows)
    return stream.getvalue()


def _array_to_npy(prediction: Any) -> bytes:
    stream = io.BytesIO()
    np.save(stream, prediction)
    return stream.getvalue()


_DECODERS: dict[str, Callable[[Any], Any]] = {
    JSON: lambda text: np.array(json.loads(text)),
    "text/csv": _csv_to_array,
    "application/x-npy": lambda content: np.load(io.BytesIO(content), allow_pickle=True),
}
_ENCODERS: dict[str, Callable[[Any], str | bytes]] = {
    JSON: lambda prediction: json.dumps(prediction, default=lambda array: array.tolist()),
    "text/csv": _array_to_csv,
    "application/x-npy": _array_to_npy,
}
_TEXT = (JSON, "text/csv")


def _input_fn(content: Any, content_type: str) -> Any:
    if content_type not in _DECODERS:
        raise UnsupportedFormatError(content_type)
    array = _DECODERS[content_type](content)
    return array.astype(np.float32) if content_type in _TEXT else array


def _predict_fn(data: Any, model: Any) -> Any:
    return model.predict(data)


def _output_fn(prediction: Any, accept: str) -> tuple[str | bytes, str]:
    if accept not in _ENCODERS:
        raise UnsupportedFormatError(accept)
    return _ENCODERS[accept](prediction), accept


class Model:
    """The functions of the user's module, and what its `model_fn` returned."""

    def __init__(self, folder: Path) -> None:
        module = _module(folder)
        own = {name: getattr(module, f"{name}_fn", None) for name in ("input", "predict", "output")}
        self._transform = getattr(module, "transform_fn", None)
        if self._transform and any(own.values()):
            raise ValueError("transform_fn cannot be combined with input_fn, predict_fn or output_fn.")
        if not hasattr(module, "model_fn"):
            raise NotImplementedError(f"Please provide a model_fn implementation in {module.__file__}.")
        self._input = own["input"] or _input_fn
        self._predict = own["predict"] or _predict_fn
        self._output = own["output"] or _output_fn
        self._model = module.model_fn(str(folder))

    def answer(self, content: bytes, content_type: str, accept: str) -> Answer:
        given: Any = content.decode() if content_type in _TEXT else content
        if self._transform:
            return _sent(*self._transform(self._model, given, content_type, accept))
        try:
            data = self._input(given, content_type)
        except UnsupportedFormatError as error:
            return _refused(415, error)
        prediction = self._predict(data, self._model)
        try:
            result = self._output(prediction, accept)
        except UnsupportedFormatError as error:
            return _refused(406, error)
        return _sent(*result) if isinstance(result, tuple) else _sent(result, accept)


def _module(folder: Path) -> Any:
    # SageMaker Python SDK: the two variables that say where the script is. Both have this default here only.
    program = os.environ.get("SAGEMAKER_PROGRAM", "inference.py")
    submitted = os.environ.get("SAGEMAKER_SUBMIT_DIRECTORY", "/opt/ml/model/code")
    if not f"{submitted}/".startswith("/opt/ml/model/"):
        raise ValueError(
            f"SAGEMAKER_SUBMIT_DIRECTORY is {submitted!r}: here it must be a folder in /opt/ml/model."
        )
    code = folder / submitted.removeprefix("/opt/ml/model").lstrip("/")
    if not (code / program).is_file():
        raise FileNotFoundError(f"model.tar.gz has no {(code / program).relative_to(folder)}.")
    sys.path.insert(0, str(code))
    return importlib.import_module(program.removesuffix(".py"))


def _sent(content: str | bytes, content_type: str) -> Answer:
    return 200, content_type, content.encode() if isinstance(content, str) else content


def _refused(status: int, error: Exception) -> Answer:
    body = {"error": type(error).__name__, "error-message": str(error), "stack-trace": traceback.format_exc()}
    return status, JSON, json.dumps(body).encode()


def handler_of(model: Model) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = 60  # seconds; a client that sends nothing must not stop the server

        def do_GET(self) -> None:
            self._send(*((200, JSON, b"") if self.path == "/ping" else (404, "text/plain", b"Not Found")))

        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.path != "/invocations":
                self._send(404, "text/plain", b"Not Found")
                return
            accept = self.headers.get("Accept") or "*/*"
            if accept == "*/*":
                accept = os.environ.get("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT", JSON)
            try:
                answer = model.answer(content, self.headers.get("Content-Type") or JSON, accept)
            except Exception:
                traceback.print_exc()
                # What Flask answers in the container. The reason is in the log.
                answer = (500, "text/html", b"<title>500 Internal Server Error</title>")
            self._send(*answer)

        def _send(self, status: int, content_type: str, content: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    return Handler


def main() -> None:
    folder = Path(sys.argv[1])
    with tarfile.open(folder / "model.tar.gz") as archive:
        archive.extractall(folder, filter="data")
    server = HTTPServer((HOST, 0), handler_of(Model(folder)))
    print(f"{READY}{server.server_port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
