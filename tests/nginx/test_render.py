"""The configuration that the entrypoint draws from settings, and what it says about wrong ones."""

from pathlib import Path

import pytest

from tests.support.front import draw


def test_one_server_per_slot(tmp_path: Path) -> None:
    assert draw(tmp_path, SLOTS="3").returncode == 0
    upstreams = (tmp_path / "run/conf/upstreams.conf").read_text()
    assert upstreams.count(f"server unix:{tmp_path}/frontends/2.sock max_fails=0;") == 2  # frontends, realtime
    assert "/3.sock" not in upstreams
    # nginx < 1.29.7 takes the wrong order silently, and balances round robin.
    assert upstreams.index("least_conn") < upstreams.index("keepalive 256")


def test_slots_auto_is_what_the_app_container_wrote(tmp_path: Path) -> None:
    (tmp_path / "frontends").mkdir()
    (tmp_path / "frontends/slots").write_text("5\n")
    assert draw(tmp_path, SLOTS="auto").returncode == 0
    assert "/4.sock" in (tmp_path / "run/conf/upstreams.conf").read_text()


def test_request_ids_of_two_starts_differ(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        assert draw(tmp_path / name, SLOTS="1").returncode == 0
    drawn = [(tmp_path / name / "run/conf/request-id.conf").read_text() for name in ("one", "two")]
    assert drawn[0] != drawn[1] and "@" not in drawn[0]


@pytest.mark.parametrize("networks", ["", "none"])
def test_who_trusts_no_proxy_pays_for_none(tmp_path: Path, networks: str) -> None:
    assert draw(tmp_path, SLOTS="1", TRUSTED_PROXIES=networks).returncode == 0
    assert "real_ip" not in (tmp_path / "run/conf/client.conf").read_text()


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"SLOTS": "many"}, "SLOTS is 'many'; expected a number from 1 to 128, or auto (one per core)"),
        ({"SLOTS": "auto"}, "/frontends/slots is missing; the app container writes it: start that first"),
        ({"NGINX_LISTEN": "here"}, "NGINX_LISTEN is 'here'; expected an address and a port, such as 127.0.0.1:8080"),
        ({"NGINX_LISTEN": "1:1;}"}, "NGINX_LISTEN is '1:1;}'; expected an address and a port, such as 127.0.0.1:8080"),
        ({"MAX_BODY": "much"}, "MAX_BODY is 'much'; expected a size, such as 32m"),
        ({"NGINX_WORKERS": "0"}, "NGINX_WORKERS is '0'; expected auto or a number"),
        ({"SCHEDULING": "fast"}, "SCHEDULING is 'fast'; expected batch or normal"),
        ({"TRUSTED_PROXIES": "mine;"}, "TRUSTED_PROXIES is 'mine;'; expected networks, such as"),
        ({"CONNECTIONS_PER_CLIENT": "0"}, "CONNECTIONS_PER_CLIENT is '0'; expected a number from 1 to 65535"),
    ],
)
def test_wrong_setting_stops_with_one_sentence(tmp_path: Path, settings: dict[str, str], sentence: str) -> None:
    done = draw(tmp_path, **{"SLOTS": "1", **settings})
    assert done.returncode == 1
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1
