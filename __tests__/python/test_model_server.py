"""The model server of the local AWS's endpoints, which runs as SageMaker's scikit-learn container does."""

import http.client
import io
import json
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

SCRIPT = Path(__file__).parents[2] / "src/local-studio/image/model_server.py"
READY = "The model server listens on port "
DOUBLES = """
import json, os

class Doubling:
    def predict(self, rows):
        assert rows.dtype == "float32", rows.dtype
        return rows.reshape(-1, rows.shape[-1]).sum(axis=1) * json.load(open(self.path))["factor"]

def model_fn(model_dir):
    model = Doubling()
    model.path = os.path.join(model_dir, "weights.json")
    return model
"""
Answer = tuple[int, str, bytes]
Ask = Callable[..., Answer]


def pack(folder: Path, files: dict[str, str]) -> None:
    with tarfile.open(folder / "model.tar.gz", "w:gz") as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[[str], Ask]]:
    """Starts the server with an inference.py, and returns a function that asks it."""
    started: list[subprocess.Popen[str]] = []

    def start(script: str, **environment: str) -> Ask:
        pack(tmp_path, {"code/inference.py": script, "weights.json": '{"factor": 2}'})
        process = subprocess.Popen(  # noqa: S603 - own script
            [sys.executable, str(SCRIPT), str(tmp_path)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={"PATH": "", **environment},
        )
        started.append(process)
        assert process.stdout
        line = process.stdout.readline()
        if not line.startswith(READY):
            raise RuntimeError(process.communicate()[1])
        port = int(line.removeprefix(READY))

        def ask(
            body: bytes, content_type: str = "application/json", accept: str = "application/json"
        ) -> Answer:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            headers = {"Content-Type": content_type, "Accept": accept}
            connection.request("POST", "/invocations", body, headers)
            response = connection.getresponse()
            return response.status, response.headers["Content-Type"], response.read()

        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("GET", "/ping")
        assert connection.getresponse().status == 200
        return ask

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_the_defaults_take_and_give_json_csv_and_npy(serve: Callable[..., Ask]) -> None:
    ask = serve(DOUBLES)
    assert ask(b"[[1, 2], [3, 4]]") == (200, "application/json", b"[6.0, 14.0]")
    assert ask(b"[[1, 2]]", accept="*/*") == (200, "application/json", b"[6.0]")
    assert ask(b"1,2\n3,4\n", "text/csv", "text/csv") == (200, "text/csv", b"6.0\n14.0\n")
    assert ask(b"1,2", "text/csv")[2] == b"[6.0]"
    npy = io.BytesIO()
    np.save(npy, np.array([[1, 2]], dtype="float32"))
    status, kind, answer = ask(npy.getvalue(), "application/x-npy", "application/x-npy")
    assert (status, kind) == (200, "application/x-npy")
    assert np.load(io.BytesIO(answer)).tolist() == [6]


def test_other_formats_and_errors_have_the_containers_status(serve: Callable[..., Ask]) -> None:
    ask = serve(DOUBLES)
    status, _, body = ask(b"1", "text/plain")
    assert (status, json.loads(body)["error-message"]) == (415, "text/plain")
    assert ask(b"[[1, 2]]", accept="text/html")[0] == 406
    assert ask(b"not json")[0] == 500
    # It goes on after an error.
    assert ask(b"[[1, 2]]")[0] == 200


def test_own_functions_replace_the_defaults(serve: Callable[..., Ask]) -> None:
    own = """
def model_fn(model_dir): return 10
def input_fn(content, content_type): return content_type + ":" + content.decode()
def predict_fn(data, model): return [data, model]
def output_fn(prediction, accept): return str(prediction), "text/plain"
"""
    assert serve(own)(b"x", "text/plain") == (200, "text/plain", b"['text/plain:x', 10]")


def test_transform_fn_replaces_them_all(serve: Callable[..., Ask]) -> None:
    whole = """
def model_fn(model_dir): return 10
def transform_fn(model, content, content_type, accept): return content + str(model), accept
"""
    assert serve(whole)(b"1") == (200, "application/json", b"110")
    with pytest.raises(RuntimeError, match="cannot be combined"):
        serve(whole + "def input_fn(content, content_type): return 1\n")


def test_a_model_that_cannot_be_loaded_is_not_served(serve: Callable[..., Ask]) -> None:
    with pytest.raises(RuntimeError, match="provide a model_fn"):
        serve("x = 1\n")
    with pytest.raises(RuntimeError, match=r"has no code/other\.py"):
        serve(DOUBLES, SAGEMAKER_PROGRAM="other.py")
    with pytest.raises(RuntimeError, match="must be a folder in /opt/ml/model"):
        serve(DOUBLES, SAGEMAKER_SUBMIT_DIRECTORY="s3://bucket/source.tar.gz")
