"""Our templates beside Jinja2's, on Jinja2's own kind of work: a table of 1,000 rows, a page with inheritance.

    python -m tests.benchmarks.templates [--seconds 1]

Prints microseconds of CPU per rendering, to UTF-8 bytes in both cases; both escape, and both must print the same. They
take turns, and of each the best round counts, since other work on the machine only ever slows a round down.
"""

import argparse
import time
from collections.abc import Callable

import jinja2

from framework.template import DictLoader

# One source for both: `END for` becomes {% end %} here and {% endfor %} there.
SOURCES = {
    "base": """<!doctype html>
<html><head><title>{% block title %}Squall{% END block %}</title></head>
<body>
<nav>{% for item in menu %}<a href="{{ item.href }}">{{ item.text }}</a>{% END for %}</nav>
{% block body %}{% END block %}
<footer>{{ year }}</footer>
</body></html>""",
    "page": """{% extends "base" %}
{% block title %}{{ title }}{% END block %}
{% block body %}<h1>{{ title }}</h1>
{% for entry in entries %}<article><h2>{{ entry.title }}</h2>
<p>{{ entry.text }}</p>
{% if entry.likes == 1 %}one like{% elif entry.likes %}{{ entry.likes }} likes{% END if %}
</article>{% END for %}
{% END block %}""",
    "rows": """<table>
{% for row in rows %}<tr>
<td>{{ row.number }}</td><td>{{ row.name }}</td><td>{{ row.price }}</td><td>{{ row.note }}</td>
</tr>{% END for %}
</table>""",
    "cells": """<table>
{% for row in matrix %}<tr>{% for cell in row.values() %}<td>{{ cell }}</td>{% END for %}</tr>
{% END for %}
</table>""",
}


class Record:
    """What a row is for an application: an object with attributes."""

    def __init__(self, **values: object) -> None:
        self.__dict__.update(values)


NAMES = {
    "rows": [Record(number=n, name=f"name {n}", price=n * 1.5, note="plain" if n % 10 else "<b>") for n in range(1000)],
    "matrix": [dict(zip("abcdefghij", range(10), strict=True)) for _ in range(1000)],
    "entries": [Record(title=f"Entry {n} & more", text="text " * 20, likes=n) for n in range(10)],
    "menu": [Record(href=f"/{n}", text=f"Menu {n}") for n in range(5)],
    "title": "A page & its title",
    "year": 2026,
}


def translate(text: str, end: str) -> str:
    """The common source with its ends spelled as `end` says, for example "end{}"."""
    for word in ("for", "if", "block"):
        text = text.replace(f"END {word}", end.format(word))
    return text


def make_renderers(name: str) -> dict[str, Callable[[], bytes]]:
    """Who renders that template, and how."""
    ours = DictLoader({key: translate(text, "end") for key, text in SOURCES.items()}).load(name)
    loader = jinja2.DictLoader({key: translate(text, "end{}") for key, text in SOURCES.items()})
    theirs = jinja2.Environment(loader=loader, autoescape=True).get_template(name)
    return {
        "squall": lambda: ours.generate(**NAMES),
        "jinja2": lambda: theirs.render(**NAMES).encode(),
    }


def measure(functions: dict[str, Callable[[], bytes]], seconds: float, round_s: float = 0.02) -> dict[str, float]:
    """Microseconds of CPU for one call of each function, the best of several rounds of `round_s`."""
    best = dict.fromkeys(functions, float("inf"))
    stop = time.perf_counter() + seconds
    while True:
        for name, function in functions.items():
            calls, start = 0, time.process_time()
            while (used := time.process_time() - start) < round_s or not calls:
                function()
                calls += 1
            best[name] = min(best[name], used / calls * 1e6)
        if time.perf_counter() > stop:
            return best


def compare(seconds: float) -> dict[str, dict[str, float]]:
    """Microseconds for each template, by engine.

    Raises:
        AssertionError: the engines do not print the same.
    """
    results = {}
    for name in ("rows", "cells", "page"):
        functions = make_renderers(name)
        assert len({render() for render in functions.values()}) == 1, name
        results[name] = measure(functions, seconds)
    return results


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=1, help="for each template")
    results = compare(parser.parse_args().seconds)
    print(f"{'template':<12}{'squall µs':>12}{'jinja2 µs':>12}{'times':>8}")
    for name, took in results.items():
        print(f"{name:<12}{took['squall']:>12.1f}{took['jinja2']:>12.1f}{took['jinja2'] / took['squall']:>8.2f}")


if __name__ == "__main__":
    main()
