"""Who sends a job: it runs as the role of that user, and its name begins with theirs."""

import os
from collections.abc import Sequence
from dataclasses import dataclass

from sagemaker_marimo import names, state
from sagemaker_marimo.jobs.settings import Environment, Refused


@dataclass(frozen=True)
class Sender:
    role: str
    """ARN of the role of the jobs, and of the pipelines of a sweep."""
    prefix: str
    """The names of jobs and pipelines begin with it and a hyphen: IAM allows no others."""
    folder: str
    """Prefix in the bucket of all that the jobs write: IAM allows no other."""
    team_types: Sequence[str] = ()
    """Instance types that the user's teams add to everybody's."""


def find(environment: Environment, user: str | None) -> Sender:
    """The user by name, or else whose space this is. Raises Refused for any other space."""
    user = user or os.environ.get("MARIMO_USER")
    if environment.role is not None:
        return Sender(environment.role, environment.prefix, folder_of(user))
    roles = environment.user_roles
    role = state.resource("ExecutionRoleArn")
    if user:
        # Names in ARNs and roles are in lower case.
        name = user.lower()
    elif role is None:
        raise Refused(
            [
                "jobs run as the user who sends them, and no user is named: use --user NAME or set "
                f"MARIMO_USER to your user profile in {environment.name}"
            ]
        )
    elif not role.startswith(roles):
        raise Refused(
            [
                f"jobs run as the user who sends them, but this space runs as {role}, not as a "
                "user. Send it from a private space. If this is one, stop and start it: its user may have "
                "got a role since"
            ]
        )
    else:
        name = role.removeprefix(roles)
    types = environment.team_types.get(name, ())
    return Sender(f"{roles}{name}", f"{environment.prefix}-{name}", folder_of(name), types)


def reader(environment: Environment, user: str | None) -> Sender:
    """The user, or nobody, who has no sweeps and can read the results of scheduled jobs."""
    try:
        return find(environment, user)
    except Refused:
        return Sender("", environment.prefix, names.SHARED)


def folder_of(user: str | None) -> str:
    return f"{names.PEOPLE}/{user.lower()}" if user else names.SHARED


def athena_workgroup(environment: Environment, sender: Sender) -> str | None:
    """A user's workgroup has the name of the role. The one role of everybody has the shared workgroup."""
    if {"*", sender.folder.rpartition("/")[2]}.isdisjoint(environment.athena_users):
        return None
    return sender.role.rpartition("/")[2] if environment.role is None else f"{environment.prefix}-shared"
