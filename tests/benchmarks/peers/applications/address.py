"""Where a contestant is to listen: `--port N`, or `--unix PATH` behind nginx."""

import argparse
from dataclasses import dataclass


@dataclass(frozen=True)
class Address:
    """One of both; the other is 0 or empty."""

    port: int
    path: str


def parse() -> Address:
    """What the command line says."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--unix", default="")
    arguments = parser.parse_args()
    return Address(arguments.port, arguments.unix)
