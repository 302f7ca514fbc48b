"""Every item of the seed's checklist has a test that is named after it, or a measurement."""

import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
ITEMS = set(range(1, 137))
# Claims about speed are measured side by side, not asserted on a machine that others use as well.
MEASURED = {
    44: "tests/benchmarks/templates.py",
    112: "docker/ops/bench.sh",
    113: "tests/benchmarks/peers/__main__.py",
    114: "tests/benchmarks/peers/__main__.py",
}


def items_with_a_test() -> set[int]:
    """Numbers in the names of tests: 46 and 47 of `test_item_046_047_cookies`."""
    names = (
        name
        for path in TESTS.rglob("test_*.py")
        for name in re.findall(r"def test_item((?:_\d{3})+)_", path.read_text())
    )
    return {int(number) for name in names for number in name.strip("_").split("_")}


def test_every_item_has_a_test_or_a_measurement() -> None:
    assert not ITEMS - items_with_a_test() - set(MEASURED)


def test_tests_name_only_items_there_are() -> None:
    assert items_with_a_test() <= ITEMS


def test_measurements_exist() -> None:
    assert all((TESTS.parent / path).is_file() for path in MEASURED.values())
