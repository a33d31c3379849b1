"""Git's credential helper for the environment's private repositories: it reads a repository's secret.

usage: git_credentials.py URL get|store|erase
Each clone's configuration names it, so `git pull` asks it too. The credentials are never stored.
"""

import json
import shlex
import sys
from pathlib import Path
from urllib.parse import urlsplit

# Run by path, so that neither an installation nor PYTHONPATH is needed.
if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).parents[1])

from sagemaker_marimo import aws_secrets, state


def secret_of(url: str) -> str | None:
    """The ARN of a repository's secret."""
    pairs = state.settings().get("MARIMO_REPOSITORY_SECRETS", "").split()
    return dict(pair.split("=", 1) for pair in pairs).get(url)


def clone_options(url: str) -> list[str]:
    """Options of `git clone`, which also writes them into the clone's configuration."""
    if secret_of(url) is None:
        return []
    script = state.STATE / "payload/current/bin/git-credentials.sh"
    # For the server: GitLab redirects an address without .git, and git then ignores a whole address's helper.
    server = urlsplit(url)
    option = f"credential.{server.scheme}://{server.netloc}.helper"
    # The empty helper removes a person's own ones, such as `store`, which would write the credentials to a
    # file (gitcredentials, credential.helper).
    return [f"--config={option}=", f"--config={option}=!bash {shlex.quote(str(script))} {shlex.quote(url)}"]


def read(arn: str) -> tuple[str, str]:
    text = aws_secrets.read(arn)
    try:
        secret = json.loads(text)
        values = secret["username"], secret["password"]
    except (ValueError, KeyError, TypeError):
        values = None, None
    # Git's format has one value on each line.
    if all(isinstance(value, str) and value and not {*value} & {"\n", "\r", "\0"} for value in values):
        return values
    raise aws_secrets.SecretError(
        f'the secret {arn} is not {{"username": …, "password": …}} (SageMaker API, GitConfig)'
    )


def main(url: str, action: str) -> None:
    arn = secret_of(url)
    # The settings may have changed since the clone. Git then asks the person.
    if action != "get" or arn is None:
        return
    try:
        username, password = read(arn)
    except aws_secrets.SecretError as error:
        print(f"error: {error}", file=sys.stderr)
    else:
        print(f"username={username}\npassword={password}")


if __name__ == "__main__":
    main(*sys.argv[1:3])
