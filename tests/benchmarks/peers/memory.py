"""What a frontend holds in memory after its start, and what each idle connection adds (PSS, 10,000 connections)."""

import socket
from collections.abc import Callable

from tests.benchmarks import accounting
from tests.benchmarks.clients import raise_file_limit
from tests.benchmarks.peers.contestants import BY_NAME
from tests.benchmarks.peers.measuring import Plan, make_command
from tests.benchmarks.servers import Server, ServerError

WHO = ("squall", "constant on uvloop", "tornado", "aiohttp", "uvicorn, bare", "starlette")
CONNECTIONS = 10_000


def measure(plan: Plan, say: Callable[[str], object]) -> dict[str, dict[str, float]]:
    """Megabytes after the start and bytes per idle connection, by name."""
    say(f"== memory, {CONNECTIONS:,} idle connections")
    raise_file_limit()
    found = {}
    for name in WHO:
        contestant = BY_NAME[name]
        if contestant not in plan.contestants:
            continue
        try:
            with Server(make_command(contestant, plan, ""), plan.folder) as server:
                server.ask("/")
                start = accounting.measure_memory([server.pid]).pss_bytes
                per_connection = (_hold_connections(server, CONNECTIONS) - start) / CONNECTIONS
        except (ServerError, OSError) as error:
            say(f"   {name}: {error}")
            continue
        found[name] = {"start_mb": round(start / 1e6, 1), "connection_bytes": round(per_connection)}
        say(f"   {name}: {start / 1e6:.1f} MB after the start, {per_connection:.0f} bytes per idle connection")
    return found


def _hold_connections(server: Server, count: int) -> int:
    """Bytes that the server holds while that many connections idle, each after one answered request."""
    request = f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{server.command.port}\r\n\r\n".encode()
    held: list[socket.socket] = []
    try:
        for _ in range(count):
            connection = socket.create_connection(("127.0.0.1", server.command.port), timeout=10)
            held.append(connection)
            connection.sendall(request)
            if not connection.recv(4096):
                raise ServerError(f"{server.command.name}: closed connection {len(held)}")
        return accounting.measure_memory([server.pid]).pss_bytes
    finally:
        for connection in held:
            connection.close()
