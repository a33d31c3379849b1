"""A private repository is cloned with its secret's credentials, which are in no file, address or log."""

import base64
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from sagemaker_marimo import aws_secrets, git_credentials, repositories, state

# Plain HTTP, so that a server stands in as the proxy. The settings accept https only.
HOST = "http://git.example.com"
PRIVATE = f"{HOST}/acme/models"
PUBLIC = f"{HOST}/public/tools"
ARN = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:git-AbCdEf"
SECRET = {"username": "robot", "password": "s3cret: of git"}
SOURCES = Path(state.__file__).parents[2]

Start = Callable[..., str]


def run_git(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    git = ["git", "-C", str(folder), *command]
    return subprocess.run(git, check=False, capture_output=True, text=True)  # noqa: S603  # no shell


def commit(repository: Path, name: str) -> None:
    (repository / name).write_text(f"{name}\n")
    for command in (["add", "."], ["commit", "--quiet", "-m", name], ["update-server-info"]):
        run_git(repository, *command).check_returncode()


@pytest.fixture
def served(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A server of git.example.com, which asks for credentials below /acme."""
    folder = tmp_path / "served"
    word = base64.b64encode(f"{SECRET['username']}:{SECRET['password']}".encode()).decode()

    class Handler(SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            self.path = self.path.removeprefix(HOST)
            if self.path.startswith("/acme") and self.headers.get("Authorization") != f"Basic {word}":
                self.send_response(401)
                self.send_header("WWW-Authenticate", 'Basic realm="git"')
                self.send_header("Content-Length", "0")
                self.end_headers()
            else:
                super().do_GET()

        def translate_path(self, path: str) -> str:
            _, owner, name, *rest = path.partition("?")[0].split("/")
            return str(folder.joinpath(owner, name, ".git", *rest))

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    config = tmp_path / "gitconfig"
    config.write_text(
        f"[http]\n proxy = http://127.0.0.1:{server.server_port}\n[user]\n name = a\n email = a@x.org\n"
        "[init]\n defaultBranch = main\n[credential]\n helper = store\n"
    )
    for name in ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("GIT_ALLOW_PROTOCOL", "http")
    monkeypatch.setenv("GIT_TERMINAL_PROMPT", "0")
    for address in ("acme/models", "public/tools"):
        repository = folder / address
        repository.mkdir(parents=True)
        run_git(repository, "init", "--quiet").check_returncode()
        commit(repository, "README.md")
    yield folder
    server.shutdown()
    server.server_close()


@pytest.fixture
def start(
    home: Path,
    served: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Start:
    """Runs repositories.py with the secret's text or the AWS CLI's error. Returns its output."""
    aws = tmp_path / "bin/aws"
    aws.parent.mkdir()
    monkeypatch.setenv("PATH", f"{aws.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("MARIMO_STATE", str(state.STATE))

    def run(kind: str, answer: str, *urls: str) -> str:
        (tmp_path / "answer").write_text(answer)
        aws.write_text(
            f'#!/bin/bash\necho "$*" >>{tmp_path}/asked\nif ! grep -q SecretString {tmp_path}/answer; then '
            f"cat {tmp_path}/answer >&2; exit 254; fi\ncat {tmp_path}/answer\n"
        )
        aws.chmod(0o755)
        # As in a space: the payload with these settings, and the image's Python.
        shutil.copytree(SOURCES, state.PAYLOAD, dirs_exist_ok=True)
        (state.STATE / "space.env").write_text(f"MARIMO_PYTHON={sys.executable}\n")
        (state.PAYLOAD / "settings.env").write_text(
            f"MARIMO_REPOSITORIES={' '.join(urls)}\nMARIMO_REPOSITORY_SECRETS={PRIVATE}={ARN}\n"
        )
        repositories.main(kind)
        return capsys.readouterr().out

    return run


def secret(value: object = SECRET) -> str:
    return json.dumps({"ARN": ARN, "SecretString": value if isinstance(value, str) else json.dumps(value)})


def test_it_is_cloned_and_pulled_and_the_credentials_are_in_no_file(
    start: Start, home: Path, served: Path, tmp_path: Path
) -> None:
    output = start("new", secret(), PRIVATE, PUBLIC)
    assert f"{PRIVATE} was cloned into {home / 'models'}\n" in output
    commit(served / "acme/models", "more.md")
    pulled = run_git(home / "models", "pull", "--quiet")
    assert pulled.returncode == 0, pulled.stderr
    assert (home / "models/more.md").exists()
    assert (tmp_path / "asked").read_text().splitlines() == [
        f"secretsmanager get-secret-value --secret-id {ARN} --region eu-west-1 --output json"
    ] * 2
    written = [
        path
        for path in home.rglob("*")
        if path.is_file() and SECRET["password"] in path.read_text(errors="replace")
    ]
    assert written == []
    assert "s3cret" not in output
    assert run_git(home / "models", "config", "remote.origin.url").stdout == f"{PRIVATE}\n"
    # Control: the other repository's clone names no helper, and git asks for no secret.
    assert "credential" not in (home / "tools/.git/config").read_text()


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (
            "An error occurred (AccessDeniedException) when calling the GetSecretValue operation: no",
            f"the secret {ARN} cannot be read: An error occurred (AccessDeniedException)",
        ),
        (secret("word"), f'the secret {ARN} is not {{"username": …, "password": …}}'),
        (secret({"username": "a"}), f'the secret {ARN} is not {{"username": …, "password": …}}'),
        (secret({"username": "a", "password": "b\nhost=c"}), f"the secret {ARN} is not "),
        (secret(["a"]), f"the secret {ARN} is not "),
        (secret({"username": "robot", "password": "old"}), f"fatal: Authentication failed for '{PRIVATE}/'"),
    ],
)
def test_a_secret_that_does_not_help_is_named_and_others_are_cloned(
    start: Start, home: Path, answer: str, reason: str
) -> None:
    output = start("new", answer, PRIVATE, PUBLIC)
    assert f"{PRIVATE} was not cloned, and is tried again at the next start: " in output
    assert reason in output
    assert "old" not in output
    assert (home / "tools/README.md").exists()
    # Control: the next start with the credentials.
    assert f"{PRIVATE} was cloned" in start("used", secret(), PRIVATE, PUBLIC)


def test_a_server_gets_only_its_own_repositorys_secret(start: Start, home: Path, tmp_path: Path) -> None:
    start("new", secret(), PRIVATE)
    (tmp_path / "asked").unlink()
    fill = ["git", "-C", str(home / "models"), "credential", "fill"]
    for host, password in {"other.example.com": "", "git.example.com": SECRET["password"]}.items():
        asked = f"protocol=http\nhost={host}\n\n"
        answer = subprocess.run(fill, input=asked, capture_output=True, text=True, check=False)  # noqa: S603  # no shell
        assert (f"password={password}\n" in answer.stdout) == bool(password)
    assert len((tmp_path / "asked").read_text().splitlines()) == 1


def test_a_removed_setting_leaves_git_to_ask_the_person(
    start: Start, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aws_secrets, "read", lambda _: json.dumps(SECRET))
    start("new", secret(), PRIVATE)
    git_credentials.main(PRIVATE, "get")
    assert capsys.readouterr().out == f"username=robot\npassword={SECRET['password']}\n"
    for url, action in ((PUBLIC, "get"), (PRIVATE, "store"), (PRIVATE, "erase")):
        git_credentials.main(url, action)
    assert capsys.readouterr().out == ""
