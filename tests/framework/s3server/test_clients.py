"""The store as the usual command lines use it: aws, s3cmd with both signatures, rclone."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.s3 import ACCESS_KEY, SECRETS

# Above the size from which aws and s3cmd split an upload here, and no multiple of a part.
LARGE = bytes(range(256)) * 4096 * 11 + b"and a bit"


class Shell:
    """Runs commands in a folder of their own, with a home of their own."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.host = f"127.0.0.1:{port}"
        secret = SECRETS[ACCESS_KEY]
        self._environment = {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(folder),
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": secret,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": f"http://{self.host}",
            "AWS_EC2_METADATA_DISABLED": "true",
            "RCLONE_CONFIG": str(folder / "rclone.conf"),
            "RCLONE_CONFIG_STORE_TYPE": "s3",
            "RCLONE_CONFIG_STORE_PROVIDER": "Other",
            "RCLONE_CONFIG_STORE_ENDPOINT": f"http://{self.host}",
            "RCLONE_CONFIG_STORE_ACCESS_KEY_ID": ACCESS_KEY,
            "RCLONE_CONFIG_STORE_SECRET_ACCESS_KEY": secret,
        }
        (folder / "rclone.conf").write_text("")
        (folder / "site/below").mkdir(parents=True)
        (folder / "site/index.html").write_text("<p>Grüße</p>")
        (folder / "site/below/a b+ü.txt").write_text("blank, plus, umlaut")
        (folder / "large.bin").write_bytes(LARGE)

    def run(self, *command: str, expects: int = 0) -> str:
        """What the command prints, if it ends as expected."""
        assert shutil.which(command[0], path=self._environment["PATH"]), f"{command[0]} is not installed"
        done = subprocess.run(
            command, cwd=self.folder, env=self._environment, capture_output=True, text=True, check=False, timeout=60
        )
        assert (done.returncode != 0) == bool(expects), f"{command}: {done.returncode}: {done.stdout}{done.stderr}"
        return done.stdout + done.stderr


@pytest.fixture
def shell(port: int, tmp_path: Path) -> Iterator[Shell]:
    shell = Shell(tmp_path, port)
    shell.run("rclone", "mkdir", "store:bucket")
    yield shell
    shell.run("rclone", "purge", "store:bucket")


@pytest.mark.timeout(120)
def test_aws(shell: Shell) -> None:
    shell.run("aws", "s3", "cp", "large.bin", "s3://bucket/large.bin", "--no-progress")
    shell.run("aws", "s3", "sync", "site", "s3://bucket/site", "--no-progress")
    listed = shell.run("aws", "s3", "ls", "--recursive", "s3://bucket/")
    assert [line.split(maxsplit=2)[2] for line in listed.splitlines()] == [
        f"{len(LARGE)} large.bin",
        "19 site/below/a b+ü.txt",
        "14 site/index.html",
    ]
    assert shell.run("aws", "s3", "sync", "site", "s3://bucket/site", "--no-progress") == ""
    shell.run("aws", "s3", "cp", "s3://bucket/large.bin", "back.bin", "--no-progress")
    assert (shell.folder / "back.bin").read_bytes() == LARGE
    url = shell.run("aws", "s3", "presign", "s3://bucket/site/index.html").strip()
    assert shell.run("curl", "-sS", url) == "<p>Grüße</p>"
    shell.run("aws", "s3", "rm", "--recursive", "s3://bucket/site")
    assert "site" not in shell.run("aws", "s3", "ls", "s3://bucket/")
    assert "Not Found" in shell.run("aws", "s3", "cp", "s3://bucket/none", "-", expects=1)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("version", ["4", "2"])
def test_s3cmd(shell: Shell, version: str) -> None:
    signature = ["--signature-v2"] if version == "2" else ["--region=us-east-1"]
    keys = [f"--access_key={ACCESS_KEY}", f"--secret_key={SECRETS[ACCESS_KEY]}"]
    place = ["--no-ssl", f"--host={shell.host}", f"--host-bucket={shell.host}"]

    def s3cmd(*arguments: str, expects: int = 0) -> str:
        return shell.run("s3cmd", "-c", os.devnull, *keys, *place, *signature, *arguments, expects=expects)

    s3cmd("put", "--multipart-chunk-size-mb=5", "large.bin", "s3://bucket/large.bin")
    s3cmd("put", "site/below/a b+ü.txt", "s3://bucket/site/a b+ü.txt")
    s3cmd("cp", "s3://bucket/large.bin", "s3://bucket/copy.bin")
    listed = s3cmd("ls", "--recursive", "s3://bucket")
    assert [line.split("s3://bucket/")[1] for line in listed.splitlines()] == [
        "copy.bin",
        "large.bin",
        "site/a b+ü.txt",
    ]
    s3cmd("get", "s3://bucket/copy.bin", "back.bin")
    assert (shell.folder / "back.bin").read_bytes() == LARGE
    s3cmd("get", "s3://bucket/site/a b+ü.txt", "back.txt")
    assert (shell.folder / "back.txt").read_text() == "blank, plus, umlaut"
    s3cmd("del", "s3://bucket/copy.bin", "s3://bucket/large.bin")
    assert "copy.bin" not in s3cmd("ls", "s3://bucket")
    wrong = [f"--secret_key={'x' * 20}", "ls", "s3://bucket"]
    assert "SignatureDoesNotMatch" in s3cmd(*wrong, expects=1)


@pytest.mark.timeout(120)
def test_rclone(shell: Shell) -> None:
    shell.run(
        "rclone", "copyto", "--s3-upload-cutoff=5Mi", "--s3-chunk-size=5Mi", "large.bin", "store:bucket/large.bin"
    )
    shell.run("rclone", "sync", "site", "store:bucket/site")
    shell.run("rclone", "check", "--download", "site", "store:bucket/site")
    assert sorted(shell.run("rclone", "lsf", "-R", "store:bucket").splitlines()) == [
        "large.bin",
        "site/",
        "site/below/",
        "site/below/a b+ü.txt",
        "site/index.html",
    ]
    shell.run("rclone", "copyto", "store:bucket/large.bin", "back.bin")
    assert (shell.folder / "back.bin").read_bytes() == LARGE
    shell.run("rclone", "moveto", "store:bucket/large.bin", "store:bucket/moved.bin")
    (shell.folder / "site/index.html").unlink()
    shell.run("rclone", "sync", "site", "store:bucket/site")
    assert sorted(shell.run("rclone", "lsf", "-R", "--files-only", "store:bucket").splitlines()) == [
        "moved.bin",
        "site/below/a b+ü.txt",
    ]
