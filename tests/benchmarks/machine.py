"""On what machine a run was made, as facts that a reader can compare with his own."""

import os
import platform
import re
import shutil
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = ("uvloop", "pymysql")


def describe() -> dict[str, str]:
    """Names and values; what can't be found out is left out."""
    facts = {
        "processor": _find(r"model name\s*:\s*(.+)", _read("/proc/cpuinfo")) or platform.processor(),
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": _memory(),
        "kernel": platform.release(),
        "distribution": _find(r'PRETTY_NAME="?([^"\n]+)', _read("/etc/os-release")),
        "Python": platform.python_version(),
        "nginx": _find(r"nginx/(\S+)", _say("nginx", "-v")),
        "ab": _find(r"Version (\S+)", _say("ab", "-V")),
        "wrk": _find(r"wrk (?:debian/)?(\S+)", _say("wrk", "-v")),
        "MySQL server": _find(r"Ver (\S+)", _say("mariadbd", "--version")),
        "load average": read_load(),
        **{name: _version_of(name) for name in PACKAGES},
    }
    return {name: value for name, value in facts.items() if value}


def read_load() -> str:
    """The load averages of one, five and fifteen minutes."""
    return " ".join(_read("/proc/loadavg").split()[:3])


def _memory() -> str:
    kilobytes = _find(r"MemTotal:\s+(\d+)", _read("/proc/meminfo"))
    return f"{round(int(kilobytes) / 2**20)} GiB" if kilobytes else ""


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""


def _find(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    return found.group(1).strip() if found else ""


def _say(*command: str) -> str:
    program = shutil.which(command[0], path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if program is None:
        return ""
    done = subprocess.run([program, *command[1:]], capture_output=True, text=True, check=False, timeout=20)
    return done.stdout + done.stderr


def _version_of(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
