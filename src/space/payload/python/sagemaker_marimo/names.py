"""Names in AWS that the stack uses too: src/settings/names.ts reads the same file."""

import json
from pathlib import Path
from typing import Any

_NAMES = json.loads(Path(__file__).with_suffix(".json").read_text(encoding="utf-8"))

PAYLOAD: str = _NAMES["bucketPrefixes"]["payload"]
PEOPLE: str = _NAMES["bucketPrefixes"]["people"]
SHARED: str = _NAMES["bucketPrefixes"]["shared"]
JOBS: str = _NAMES["folders"]["jobs"]
JOB_SOURCES: str = _NAMES["folders"]["jobSources"]
SWEEPS: str = _NAMES["folders"]["sweeps"]
SCHEDULES: str = _NAMES["folders"]["schedules"]
BACKUP: str = _NAMES["folders"]["backup"]
HOME_BACKUP: dict[str, Any] = _NAMES["homeBackup"]
POINTER: str = _NAMES["payloadPointer"]
JOBS_JSON: str = _NAMES["jobsJson"]
JOB_LOG_GROUP: str = _NAMES["jobLogGroup"]
TRAINING_LOG_GROUP: str = _NAMES["trainingLogGroup"]
CHECKSUMS: str = _NAMES["checksums"]
JOB_ENTRYPOINT: list[str] = _NAMES["jobEntrypoint"]
SECRET_VARIABLE: str = _NAMES["secretVariable"]
USER_TAG: str = _NAMES["userTag"]
SCHEDULE_TAG: str = _NAMES["scheduleTag"]


def user_tag(folder: str) -> dict[str, str]:
    """The tag by which costs are counted by user. `folder`: such as people/ana."""
    user = folder.removeprefix(f"{PEOPLE}/")
    return {} if user == folder else {USER_TAG: user}
