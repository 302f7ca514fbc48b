"""What a container says about a wrong setting before it gives up: one sentence, with what to do."""

from typing import Any

import pytest
from docker.errors import ContainerError

from tests.support.compose import Stack

# Of the stack that runs: its secrets and its sockets, so that only the one thing under test is wrong.
SECRETS = {
    "DB_PASSWORD_FILE": "/run/secrets-db/db_password",
    "COOKIE_SECRET_FILE": "/run/secrets-app/cookie_secret",
}


def volumes(stack: Stack, *names: str) -> dict[str, dict[str, str]]:
    """The stack's volumes of these names, where its own services have them."""
    return {f"{stack.project}_{name}": {"bind": f"/run/{name}", "mode": "ro"} for name in names}


def complaint(stack: Stack, service: str, **options: Any) -> str:
    """What a container of the service's image writes before it exits with an error."""
    image = stack.container(service).image
    with pytest.raises(ContainerError) as failure:
        stack.engine.containers.run(image, stdout=False, stderr=True, remove=True, **options)
    assert failure.value.exit_status == 1
    return bytes(failure.value.stderr).decode()


def test_slots_that_are_no_number(stack: Stack) -> None:
    said = complaint(stack, "app", environment={"SLOTS": "many"}, network_mode="none")
    assert said == "app: SLOTS is 'many'; set it to a number from 1 to 128, or to auto (one per core)\n"


def test_missing_secret(stack: Stack) -> None:
    environment = {**SECRETS, "COOKIE_SECRET_FILE": "/run/secrets-app/nowhere"}
    mounted = volumes(stack, "secrets-app", "secrets-db")
    said = complaint(stack, "app", environment=environment, volumes=mounted, network_mode="none")
    assert said.startswith("app: COOKIE_SECRET_FILE names /run/secrets-app/nowhere, which is missing or empty; ")
    assert said.count("\n") == 1


def test_full_disk_under_the_database(stack: Stack) -> None:
    mounted = {**volumes(stack, "secrets-db"), f"{stack.project}_db-socket": {"bind": "/run/db", "mode": "rw"}}
    tiny = {"/var/lib/mysql": "size=8m,uid=10003,gid=10000"}
    said = complaint(stack, "db", environment=SECRETS, volumes=mounted, tmpfs=tiny, network_mode="none")
    assert said == "db: /var/lib/mysql has only 8 MB free, less than DISK_MIN_MB=64; free some space\n"


def test_occupied_port(stack: Stack) -> None:
    environment = {"SLOTS": "2", "NGINX_LISTEN": f"127.0.0.1:{stack.port}"}
    said = complaint(stack, "nginx", environment=environment, network_mode="host")
    expected = f"nginx: port {stack.port} is taken by another program; stop it, or set NGINX_LISTEN"
    assert said == f"{expected} to another address\n"
