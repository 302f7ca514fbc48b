"""What the containers may not do, as the engine reports it; and what can be reached from outside."""

import json

import pytest

from tests.support.compose import SERVICES, Stack


@pytest.mark.parametrize("service", SERVICES)
def test_container_has_no_more_rights_than_it_needs(stack: Stack, service: str) -> None:
    container = stack.container(service)
    host = container.attrs["HostConfig"]
    assert host["ReadonlyRootfs"] and not host["Privileged"]
    assert host["CapDrop"] == ["ALL"] and not host["CapAdd"]
    assert "no-new-privileges:true" in host["SecurityOpt"]
    assert host["Memory"] > 0 and host["PidsLimit"] > 0
    assert host["LogConfig"]["Config"]["max-size"]
    assert host["RestartPolicy"]["Name"] == "unless-stopped"
    assert not any("docker.sock" in str(mount) for mount in container.attrs["Mounts"])
    assert stack.run(service, "id", "-u").strip() != "0"


@pytest.mark.parametrize("service", ["db", "bus"])
def test_database_and_bus_have_no_network(stack: Stack, service: str) -> None:
    assert stack.container(service).attrs["HostConfig"]["NetworkMode"] == "none"


def test_only_nginx_has_a_port(stack: Stack) -> None:
    for service in ("app", "db", "bus"):
        assert not any(stack.container(service).attrs["NetworkSettings"]["Ports"].values())
    listening = stack.run("app", "cat", "/proc/net/tcp", "/proc/net/tcp6")
    # State 0A is LISTEN; the engine's own resolver listens on 127.0.0.11 inside the container's network.
    ours = [line for line in listening.splitlines() if len(line.split()) > 3 and line.split()[3] == "0A"]
    assert all("0B00007F" in line for line in ours), ours


def test_secrets_stand_in_no_environment_and_no_log(stack: Stack) -> None:
    secrets = [
        stack.run("app", "cat", "/run/secrets-app/cookie_secret").strip(),
        stack.run("app", "cat", "/run/secrets-db/db_password").strip(),
    ]
    assert all(len(secret) >= 32 for secret in secrets) and secrets[0] != secrets[1]
    for service in (*SERVICES, "init", "migrate"):
        seen = json.dumps(stack.container(service).attrs) + stack.logs(service)
        assert not any(secret in seen for secret in secrets), service


@pytest.mark.parametrize("service", SERVICES)
def test_root_file_system_can_not_be_written(stack: Stack, service: str) -> None:
    with pytest.raises(RuntimeError, match="Read-only file system"):
        stack.run(service, "touch", "/usr/share/x")
