"""Backups of homes and their restoration, with a bucket in memory; space/backup.test.ts has a real one."""

import io
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from boto3.exceptions import Boto3Error
from botocore.exceptions import ClientError

from sagemaker_marimo import state
from sagemaker_marimo.backup import command, loop, store
from sagemaker_marimo.backup import manifest as manifests
from sagemaker_marimo.backup import run as runs
from sagemaker_marimo.backup.options import Options, options
from sagemaker_marimo.backup.restore import restore
from sagemaker_marimo.checks.backup import backup as check
from sagemaker_marimo.checks.problem import Findings, Problem

NO_SUCH_KEY = ClientError({"Error": {"Code": "NoSuchKey"}}, "GetObject")
EVERYTHING = Options(is_on=True, interval_minutes=30, include=(), exclude=(), maximum_bytes=10**9)


class Bucket:
    """The calls of boto3 that store.py makes."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.calls: list[str] = []
        self.fails_at: str | None = None

    def upload_file(self, name: str, _bucket: str, key: str, **_options: Any) -> None:
        self.calls.append(f"upload {key.rpartition('/files/')[2]}")
        if self.fails_at and key.endswith(self.fails_at):
            raise Boto3Error("refused")
        self.objects[key] = Path(name).read_bytes()

    def download_file(self, _bucket: str, key: str, name: str, **_options: Any) -> None:
        if key not in self.objects:
            raise NO_SUCH_KEY
        Path(name).write_bytes(self.objects[key])

    def put_object(self, **request: Any) -> None:
        self.calls.append("manifest")
        self.objects[request["Key"]] = request["Body"]

    def get_object(self, **request: Any) -> dict[str, Any]:
        if request["Key"] not in self.objects:
            raise NO_SUCH_KEY
        return {"Body": io.BytesIO(self.objects[request["Key"]])}

    def delete_object(self, **request: Any) -> None:
        self.calls.append(f"delete {request['Key'].rpartition('/files/')[2]}")
        del self.objects[request["Key"]]

    def get_paginator(self, _operation: str) -> "Bucket":
        return self

    def paginate(self, **request: str) -> list[dict[str, Any]]:
        prefix, delimiter = request["Prefix"], request.get("Delimiter")
        keys = sorted(key for key in self.objects if key.startswith(prefix))
        if delimiter is None:
            return [{"Contents": [{"Key": key, "Size": len(self.objects[key])} for key in keys]}]
        folders = {prefix + key.removeprefix(prefix).partition("/")[0] + "/" for key in keys}
        return [{"CommonPrefixes": [{"Prefix": folder} for folder in sorted(folders)]}]


@pytest.fixture
def bucket(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """Of ana, in whose space `mine` the test is."""
    made = Bucket()
    monkeypatch.setattr(store, "connect", lambda: store.Store(made, "b", "people/ana"))
    monkeypatch.setattr(command, "connect", store.connect)
    metadata = tmp_path / "metadata.json"
    metadata.write_text('{"SpaceName": "mine"}')
    monkeypatch.setenv("SAGEMAKER_RESOURCE_METADATA", str(metadata))
    return made


def say(_: str) -> None:
    pass


def write(path: str, text: str = "x", mode: int = 0o644) -> Path:
    file = state.HOME / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    file.chmod(mode)
    return file


def back_up(given: Options = EVERYTHING, **how: bool) -> str:
    return runs.run(given, say, **how)


def own() -> manifests.Manifest:
    manifest = manifests.read_own()
    assert manifest is not None
    return manifest


def new_home(name: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home of another space of ana's, or of a later one of the same name."""
    folder = state.HOME.parent / name
    (folder / ".state/log").mkdir(parents=True)
    monkeypatch.setattr(state, "HOME", folder)
    monkeypatch.setattr(state, "STATE", folder / ".state")
    return folder


class TestABackup:
    def test_keeps_files_links_and_empty_folders_and_no_caches(self, bucket: Bucket, home: Path) -> None:
        write("marimo-notebooks/a b.py", "1", 0o640)
        write("run.sh", "2", 0o755)
        (home / "project/.git/refs").mkdir(parents=True)
        (home / "link").symlink_to("marimo-notebooks/a b.py")
        (home / "start-marimo.sh").symlink_to(state.STATE / "payload/current/bin/start-marimo.sh")
        for path in (
            *(".ssh/id_rsa", ".bashrc", "project/__pycache__/a.pyc", "project/__marimo__/session/a.json"),
            *("env/pyvenv.cfg", "env/lib/a.py", "tool/CACHEDIR.TAG", "tool/a", "node_modules/a.js"),
        ):
            write(path)
        back_up()
        assert set(own().files) == {"marimo-notebooks/a b.py", "run.sh", "link"}
        assert own().files["run.sh"]["mode"] == 0o755
        assert own().files["link"] == {"link": "marimo-notebooks/a b.py"}
        assert {"project/.git/refs", "project", "marimo-notebooks"} <= set(own().folders)
        keys = [key for key in bucket.objects if "/files/" in key]
        assert sorted(key.rpartition("/files/")[2] for key in keys) == ["marimo-notebooks/a b.py", "run.sh"]
        assert all(key.startswith(f"people/ana/backup/mine/{own().home}/") for key in bucket.objects)

    def test_uploads_only_what_has_changed_and_deletes_what_is_gone(self, bucket: Bucket) -> None:
        write("a.py")
        gone, changed = write("b.py"), write("c.py")
        back_up()
        bucket.calls.clear()
        assert back_up() == "nothing has changed"
        assert bucket.calls == []
        gone.unlink()
        changed.write_text("longer")
        back_up()
        assert bucket.calls == ["upload c.py", "delete b.py", "manifest"]
        assert set(own().files) == {"a.py", "c.py"}
        assert store.connect().read(own().name) == own()

    def test_writes_its_manifest_last_and_goes_on_after_a_failure(self, bucket: Bucket) -> None:
        write("a.py")
        back_up()
        before = store.connect().read(own().name)
        write("b.py", "changed")
        bucket.fails_at = "b.py"
        with pytest.raises(Boto3Error):
            back_up()
        assert store.connect().read(own().name) == before
        bucket.fails_at = None
        back_up()
        assert set(own().files) == {"a.py", "b.py"}

    def test_writes_the_manifest_in_a_long_run_too(
        self, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(runs, "LONG_SECONDS", 0)
        for number in range(3):
            write(f"{number}.py")
        back_up()
        assert bucket.calls.count("manifest") == 4

    def test_leaves_out_the_largest_files_over_the_limit_and_says_so(self, bucket: Bucket) -> None:
        write("small.py", "x" * 10)
        write("large.bin", "x" * 2000)
        limited = Options(is_on=True, interval_minutes=30, include=(), exclude=(), maximum_bytes=1000)
        back_up(limited)
        assert set(own().files) == {"small.py"}
        assert own().skipped == {"large.bin": "2.0 kB, over the limit of 1.0 kB"}
        back_up()  # control: without that limit
        assert set(own().files) == {"small.py", "large.bin"}

    def test_uploads_a_large_file_that_changes_once_a_day_and_at_the_end(
        self, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(runs, "LARGE_BYTES", 100)
        log = write("train.log", "x" * 101)
        back_up()
        bucket.calls.clear()
        log.write_text("x" * 102)
        assert back_up() == "nothing has changed"
        log.write_text("x" * 100)  # control: not large
        back_up()
        assert bucket.calls == ["upload train.log", "manifest"]
        log.write_text("x" * 103)
        back_up(is_last=True)
        assert bucket.calls.count("upload train.log") == 2
        log.write_text("x" * 104)
        monkeypatch.setattr(time, "time", lambda now=time.time: now() + runs.LARGE_SECONDS)
        back_up()
        assert bucket.calls.count("upload train.log") == 3

    def test_has_what_the_setting_includes_without_what_it_excludes(self, bucket: Bucket) -> None:
        for path in ("notebooks/a.py", "notebooks/a.csv", "notebooks/raw/b.py", ".gitconfig", "other.py"):
            write(path)
        chosen = Options(
            is_on=True,
            interval_minutes=30,
            include=("notebooks", ".gitconfig", "missing"),
            exclude=("*.csv", "notebooks/raw"),
            maximum_bytes=10**9,
        )
        back_up(chosen)
        assert set(own().files) == {"notebooks/a.py", ".gitconfig"}

    def test_keeps_what_cannot_be_read_now_and_names_it(
        self, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        file = write("a.py")
        (state.HOME / os.fsdecode(b"\xff.py")).touch()
        back_up()
        assert own().skipped == {"'\\udcff.py'": "its name is not UTF-8"}
        file.write_text("changed")
        monkeypatch.setattr(os, "access", lambda *_: False)
        back_up()
        assert set(own().files) == {"a.py"}
        assert own().skipped["a.py"] == "it cannot be read"
        assert f"people/ana/backup/mine/{own().home}/files/a.py" in bucket.objects

    def test_uploads_again_what_was_deleted_in_the_bucket(self, bucket: Bucket) -> None:
        write("a.py")
        back_up()
        key = f"people/ana/backup/mine/{own().home}/files/a.py"
        del bucket.objects[key]
        assert back_up() == "nothing has changed"
        assert key not in bucket.objects
        back_up(compare=True)
        assert key in bucket.objects

    def test_of_a_new_home_never_replaces_that_of_the_former_space(
        self, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write("a.py")
        monkeypatch.setattr(manifests, "now", lambda: "2026-11-27T08:00:00Z")
        back_up()
        former = dict(bucket.objects)
        new_home("later", monkeypatch)
        monkeypatch.setattr(manifests, "now", lambda: "2026-11-28T08:00:00Z")
        back_up()
        assert {key: bucket.objects[key] for key in former} == former
        assert store.connect().names("mine") == ["mine/20261127T080000Z", "mine/20261128T080000Z"]


class TestARestoration:
    def test_brings_back_contents_modes_times_links_and_folders(
        self, bucket: Bucket, home: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        file = write("a/b.sh", "content", 0o750)
        (home / "a/empty").mkdir(mode=0o700)
        (home / "a/link").symlink_to("b.sh")
        back_up()
        target = new_home("later", monkeypatch)
        assert command.main(["restore"]) == 0
        restored = target / "a/b.sh"
        assert restored.read_text() == "content"
        assert restored.stat().st_mode == file.stat().st_mode
        assert restored.stat().st_mtime_ns == file.stat().st_mtime_ns
        assert (target / "a/empty").stat().st_mode == (home / "a/empty").stat().st_mode
        assert (target / "a/link").readlink() == Path("b.sh")
        assert [path.name for path in target.glob(".restore-*")] == []

    def test_never_overwrites_and_puts_the_backups_file_beside(
        self, bucket: Bucket, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        write("a.py", "old")
        write("same.py", "same")
        back_up()
        target = new_home("later", monkeypatch)
        write("a.py", "new")
        write("same.py", "same")
        for _ in range(2):  # again, it adds nothing
            assert command.main(["restore", "--space", "mine"]) == 1
            assert (target / "a.py").read_text() == "new"
            assert (target / "a.from-backup.py").read_text() == "old"
            names = sorted(path.name for path in target.glob("*.py"))
            assert names == ["a.from-backup.py", "a.py", "same.py"]
        said = capsys.readouterr().err
        assert "0 files restored, 1 were there already" in said
        assert "a.py: a.from-backup.py" in said

    def test_names_what_is_missing_in_the_bucket(
        self, bucket: Bucket, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        write("a.py")
        write("b.py")
        back_up()
        del bucket.objects[f"people/ana/backup/mine/{own().home}/files/b.py"]
        target = new_home("later", monkeypatch)
        assert command.main(["restore"]) == 1
        assert (target / "a.py").exists()
        assert "could not be restored:\n  b.py" in capsys.readouterr().err

    @pytest.mark.parametrize("path", ["../a", "/a", "a/../../b", ""])
    def test_refuses_paths_outside_of_the_home(self, bucket: Bucket, home: Path, path: str) -> None:
        wrong = manifests.Manifest("mine", "1", files={path: {"size": 1, "mtimeNs": 1, "mode": 0o644}})
        with pytest.raises(manifests.BackupError, match="outside of a home"):
            restore(store.connect(), wrong, home, say)

    def test_does_not_follow_links_out_of_the_home(self, bucket: Bucket, home: Path, tmp_path: Path) -> None:
        (home / "out").symlink_to(tmp_path)
        bucket.objects["people/ana/backup/mine/1/files/out/a"] = b"x"
        wrong = manifests.Manifest("mine", "1", files={"out/a": {"size": 1, "mtimeNs": 1, "mode": 0o644}})
        with pytest.raises(manifests.BackupError, match="leads out of"):
            restore(store.connect(), wrong, home, say)
        assert not (tmp_path / "a").exists()

    def test_refuses_a_backup_that_does_not_fit(self, bucket: Bucket, home: Path) -> None:
        large = manifests.Manifest("mine", "1", files={"a": {"size": 10**18, "mtimeNs": 1, "mode": 0o644}})
        with pytest.raises(manifests.BackupError, match="enlarge the space's volume"):
            restore(store.connect(), large, home, say)

    def test_asks_for_the_space_where_there_are_several(
        self,
        bucket: Bucket,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        assert command.main(["restore"]) == 1
        assert "there is no backup. To see all: marimo-backup list" in capsys.readouterr().err
        write("a.py")
        back_up()
        new_home("second", monkeypatch)
        Path(os.environ["SAGEMAKER_RESOURCE_METADATA"]).write_text('{"SpaceName": "other"}')
        write("b.py")
        back_up()
        target = new_home("third", monkeypatch)
        assert command.main(["restore"]) == 1
        assert "name one with --space: mine/" in capsys.readouterr().err
        assert command.main(["restore", "--space", "other", "--to", str(tmp_path / "to")]) == 0
        assert [path.name for path in (tmp_path / "to").iterdir()] == ["b.py"]
        assert not (target / "b.py").exists()


class TestTheCommand:
    def test_lists_backups_with_time_number_and_size(
        self, bucket: Bucket, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert command.main(["list"]) == 0
        assert "There are no backups" in capsys.readouterr().err
        write("a.py", "x" * 1500)
        assert command.main(["now"]) == 0
        assert "uploaded 1 files, 1.5 kB" in capsys.readouterr().err
        assert command.main(["list"]) == 0
        said = capsys.readouterr().out
        assert said.startswith(f"{own().name} (this home): {own().time}, 1 files, 1.5 kB\n")
        assert said.endswith(f"  s3://b/people/ana/backup/{own().name}/\n")

    def test_says_what_is_not_in_the_backup(self, bucket: Bucket, capsys: pytest.CaptureFixture[str]) -> None:
        (state.STATE / "space.env").write_text('MARIMO_HOME_BACKUP={"maximumSizeGb": 0.000001}\n')
        write("large.bin", "x" * 2000)
        assert command.main(["now"]) == 1
        assert "Not in the backup:\n  large.bin: 2.0 kB, over the limit of 1.0 kB" in capsys.readouterr().err

    def test_says_what_s3_refused(self, bucket: Bucket, capsys: pytest.CaptureFixture[str]) -> None:
        write("a.py")
        bucket.fails_at = "a.py"
        assert command.main(["now"]) == 1
        assert "S3: refused" in capsys.readouterr().err

    def test_refuses_a_private_home_in_everybodys_part(
        self, home: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (state.STATE / "space.env").write_text(
            "MARIMO_BUCKET=b\nMARIMO_PREFIX=s3://b/shared\nMARIMO_REGION=us-east-1\n"
        )
        assert store.connect()  # control: of a shared space
        monkeypatch.setenv("SAGEMAKER_SPACE_TYPE_LOWERCASE", "private")
        with pytest.raises(manifests.BackupError, match="that others cannot read"):
            store.connect()

    def test_outside_of_a_space_says_so(self, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert command.main(["list"]) == 1
        assert "this is not a space of an environment" in capsys.readouterr().err


class TestTheLoop:
    @pytest.fixture(autouse=True)
    def _setting(self, bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MARIMO_BACKUP_SECONDS", "0.1")
        monkeypatch.setattr(loop, "stopping", threading.Event())
        monkeypatch.setattr(signal, "signal", lambda *_: None)
        (state.STATE / "space.env").write_text("MARIMO_HOME_BACKUP={}\n")

    def test_backs_up_again_and_again_and_once_more_at_the_end(self, bucket: Bucket) -> None:
        write("a.py")
        thread = threading.Thread(target=loop.main)
        thread.start()
        end = time.monotonic() + 20
        while not manifests.read_own() and time.monotonic() < end:
            time.sleep(0.05)
        write("late.py")
        loop.stopping.set()
        thread.join(20)
        assert {"a.py", "late.py"} <= set(own().files)
        assert "the backup: " in (state.STATE / "log/backup.log").read_text()

    def test_does_nothing_without_the_setting(self, bucket: Bucket) -> None:
        (state.STATE / "space.env").write_text("")
        loop.main()
        assert bucket.calls == []

    def test_runs_once_for_all_apps_of_a_home(self, bucket: Bucket) -> None:
        with runs.locked("loop", wait=False):
            loop.main()
        assert bucket.calls == []

    def test_says_in_the_apps_log_that_the_home_cannot_be_written(
        self, bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (state.STATE / "backup").touch()  # for a full or read-only volume
        monkeypatch.setenv("app_log", str(tmp_path / "app.log"))
        loop.main()
        assert "no backups are made until the next start: " in (tmp_path / "app.log").read_text()
        assert bucket.calls == []

    def test_goes_on_after_a_failure_which_the_doctor_reports(self, bucket: Bucket) -> None:
        write("a.py")
        assert check(Findings()).startswith("none yet: every 30 minutes")
        bucket.fails_at = "a.py"
        loop.attempt()
        with pytest.raises(Problem, match=r"the last backup failed, .*: refused"):
            check(Findings())
        bucket.fails_at = None
        loop.attempt()
        with pytest.raises(Problem, match="no backups are made since"):
            check(Findings())  # nothing runs in this space
        with runs.locked("loop", wait=False):
            assert check(Findings()).startswith(own().describe())

    def test_the_doctor_names_what_is_not_in_the_backup(self, bucket: Bucket) -> None:
        (state.STATE / "space.env").write_text('MARIMO_HOME_BACKUP={"maximumSizeGb": 0.000001}\n')
        write("large.bin", "x" * 2000)
        loop.attempt()
        with runs.locked("loop", wait=False):
            assert "1 skipped" in check(Findings())
            assert "not in it: large.bin (2.0 kB, over the limit of 1.0 kB)" in check(Findings())

    def test_the_doctor_says_where_backups_are_off(self, bucket: Bucket) -> None:
        (state.STATE / "space.env").write_text("")
        assert check(Findings()) == "off in this environment, `marimo-backup now` makes one"
        write("a.py")
        command.main(["now"])
        assert f"the last one by hand: {own().describe()}" in check(Findings())


def test_the_defaults_are_those_of_the_stack(home: Path) -> None:
    assert options() == Options(False, 30, (), (), 5 * 10**9)


def test_without_a_change_no_process_loads_boto3(home: Path, bucket: Bucket) -> None:
    back_up()
    program = (
        "import sys; from sagemaker_marimo.backup import loop, options, run; "
        "assert run.run(options.options(), print) == 'nothing has changed'; assert 'boto3' not in sys.modules"
    )
    environment = {**os.environ, "HOME": str(home), "MARIMO_STATE": str(state.STATE)}
    environment["PYTHONPATH"] = str(Path(loop.__file__).parents[2])
    result = subprocess.run(  # noqa: S603  # no shell
        [sys.executable, "-B", "-c", program], env=environment, capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stderr) == (0, "")
