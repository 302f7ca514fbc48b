import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from framework import process

ROOT = Path(__file__).parents[2]


def cgroup(tmp_path, lines, files):
    """The two paths cgroup_quota reads, with a cgroup tree of our own."""
    (tmp_path / "cgroup").write_text("\n".join(lines) + "\n")
    for name, text in files.items():
        file = tmp_path / "mount" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text + "\n")
    return tmp_path / "cgroup", tmp_path / "mount"


@pytest.mark.parametrize(
    "lines, files, quota",
    [
        (["0::/"], {}, None),
        (["0::/"], {"cpu.max": "max 100000"}, None),
        (["0::/"], {"cpu.max": "150000 100000"}, 1.5),
        (["0::/a/b"], {"a/cpu.max": "200000 100000", "a/b/cpu.max": "max 100000"}, 2.0),
        (["0::/a/b"], {"a/cpu.max": "200000 100000", "a/b/cpu.max": "50000 100000"}, 0.5),
        (["0::/../elsewhere"], {"cpu.max": "100000 100000"}, 1.0),
        (["0::/host/path"], {"cpu.max": "300000 100000"}, 3.0),
        (["4:cpu,cpuacct:/x"], {"cpu/x/cpu.cfs_quota_us": "-1", "cpu/x/cpu.cfs_period_us": "100000"}, None),
        (["4:cpu,cpuacct:/x"], {"cpu/x/cpu.cfs_quota_us": "250000", "cpu/x/cpu.cfs_period_us": "100000"}, 2.5),
        (
            ["4:cpu,cpuacct:/x"],
            {"cpu,cpuacct/cpu.cfs_quota_us": "20000", "cpu,cpuacct/cpu.cfs_period_us": "10000"},
            2.0,
        ),
        (["7:memory:/x", "4:cpuset:/x"], {"cpu/x/cpu.cfs_quota_us": "1", "cpu/x/cpu.cfs_period_us": "1"}, None),
        (["1:name=systemd:/x"], {}, None),
    ],
)
def test_cgroup_quota(tmp_path, lines, files, quota):
    assert process.cgroup_quota(*cgroup(tmp_path, lines, files)) == quota


def test_cgroup_quota_without_cgroups(tmp_path):
    assert process.cgroup_quota(tmp_path / "absent", tmp_path) is None


def test_cpu_count_is_never_more_than_the_affinity():
    assert 1 <= process.cpu_count() <= len(os.sched_getaffinity(0))


@pytest.mark.parametrize("deaths, delay", [(0, 0), (1, 0.05), (2, 0.1), (3, 0.2), (8, 5), (100, 5)])
def test_restart_delay(deaths, delay):
    assert process.restart_delay_s(deaths) == delay


@pytest.mark.parametrize("code, text", [(1, "exited with 1"), (-9, "was killed by SIGKILL")])
def test_describe_exit(code, text):
    assert process.describe_exit(code) == text


def test_task_id_is_none_without_forking():
    assert process.task_id() is None


def run(script, **kwargs):
    """What a fresh interpreter prints, and its exit code: forking needs a process without threads and loops."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=20, **kwargs
    )
    return done.stdout, done.stderr, done.returncode


def test_children_have_numbers_and_the_parent_waits_for_them():
    out, err, code = run(
        "import os\nfrom framework import process\n"
        "number = process.fork_processes(3)\n"
        "assert process.task_id() == number\n"
        "os.write(1, f'{number}\\n'.encode())\n"
    )
    assert (sorted(out.split()), code) == (["0", "1", "2"], 0), err


def test_child_that_fails_is_started_again_and_one_that_ends_is_not(tmp_path):
    out, err, code = run(
        "import os, signal\nfrom framework import process\n"
        "number = process.fork_processes(2)\n"
        "os.write(1, f'{number}\\n'.encode())\n"
        f"mark = {str(tmp_path / 'mark')!r}\n"
        "if number == 1 and not os.path.exists(mark):\n"
        "    open(mark, 'w').close()\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert (sorted(out.split()), code) == (["0", "1", "1"], 0), err


def test_too_many_deaths_end_the_parent():
    _, err, code = run("from framework import process\nprocess.fork_processes(1, max_restarts=2)\nraise SystemExit(3)")
    assert code == 1
    assert "more than 2 children died" in err
    assert "exited with 3" in err


def test_forking_after_a_loop_exists_is_refused():
    _, err, code = run("from framework import ioloop, process\nioloop.IOLoop.instance()\nprocess.fork_processes(2)")
    assert code == 1
    assert "fork before the first use of IOLoop" in err


def test_sigterm_to_the_parent_ends_all():
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import os, signal\nfrom framework import process\nprocess.fork_processes(2)\n"
            "os.write(1, f'{os.getpid()}\\n'.encode())\nsignal.pause()\n",
        ],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    with parent:
        pids = [int(parent.stdout.readline()) for _ in range(2)]
        parent.send_signal(signal.SIGTERM)
        assert parent.wait(10) == 0
    for pid in pids:
        assert not re.search(r"^State:\s+[^Z]", status_of(pid), re.M)


def status_of(pid):
    try:
        return Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return ""
