"""A little of each load, so that the entries stay runnable; what they measure in full is printed by the commands."""

import pytest

from tests.load import attacks, beside, crowd, endurance
from tests.load.asking import run
from tests.load.attackers import ATTACKS


@pytest.fixture(scope="module")
def frontend(tmp_path_factory):
    with beside.frontend(tmp_path_factory.mktemp("load")) as server:
        yield server


@pytest.mark.parametrize("name", ATTACKS)
def test_attack(frontend, name):
    outcome = attacks.attack(frontend, name, seconds=0.3, connections=4)
    assert outcome.manners.requests
    assert not outcome.manners.errors
    assert outcome.recovery.is_complete
    assert name in str(outcome)


def test_bodies_as_large_as_they_may_be_are_not_in_memory(frontend):
    outcome = attacks.attack(frontend, "large-bodies", seconds=1, connections=8)
    assert outcome.watch.grown_mb < attacks.MOST_GROWTH_MB


def test_exhausted(frontend):
    outcome = attacks.exhaust(frontend, 40)
    assert outcome.recovery.is_complete
    assert not outcome.manners.errors


def test_endurance_finds_no_cycle(frontend):
    outcome = run(endurance.endure(frontend, requests=2000, warm_up=500))
    assert outcome.requests >= 2000
    assert outcome.collected == 0
    assert not outcome.faults


def test_crowd(frontend):
    found = run(crowd.gather(frontend, connections=50, seconds=0.2))
    assert found.fan_out_s > 0
    assert min(rate.per_second for rate in (*found.alone, found.beside_idle, found.beside_all)) > 0
