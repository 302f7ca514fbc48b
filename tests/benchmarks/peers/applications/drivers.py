"""Pools of the asyncio drivers with one face, so that each peer's page is about its framework."""

from typing import Any

from tests.benchmarks.peers import content

Row = dict[str, Any]


class AsyncPool:
    """aiohttp's, Starlette's and the other asyncio peers' pool: asyncmy, the faster of both drivers (Cython)."""

    def __init__(self) -> None:
        self._pool: Any = None

    async def open(self) -> None:
        if content.DATABASE_SOCKET:
            import asyncmy
            from asyncmy.cursors import DictCursor

            self._cursor = DictCursor
            self._pool = await asyncmy.create_pool(
                unix_socket=content.DATABASE_SOCKET,
                user=content.DATABASE_USER,
                password=content.DATABASE_PASSWORD,
                database=content.DATABASE_NAME,
                minsize=content.POOL_SIZE,
                maxsize=content.POOL_SIZE,
                autocommit=True,
            )

    async def query(self, query: str, *parameters: Any) -> list[Row]:
        """All rows."""
        async with self._pool.acquire() as connection, connection.cursor(cursor=self._cursor) as cursor:
            await cursor.execute(query, parameters)
            rows: list[Row] = await cursor.fetchall()
            return rows

    async def get(self, query: str, *parameters: Any) -> Row:
        """The first row."""
        return (await self.query(query, *parameters))[0]
