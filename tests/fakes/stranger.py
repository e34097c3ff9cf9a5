"""A program that has taken the port of another one, says yes to everything, and remembers what it was told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

YES = (
    b'{"process": "mine", "prompt_id": "id", "was": "absent", "number": 1, "access": "accounts", '
    b'"user_id": "00000000-0000-7000-8000-000000000001", "name": "me", "role": "admin", "scopes": ["admin"]}'
)


@asynccontextmanager
async def stranger(port: int = 0) -> AsyncIterator[tuple[str, list[str]]]:
    """Give its address, and the requests that it hears, with their headers and bodies."""
    told: list[str] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        told.append((await reader.read(100_000)).decode())
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(YES)}\r\nConnection: close"
        writer.write(f"{head}\r\n\r\n".encode() + YES)
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", port) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", told


def first_lines(told: list[str]) -> set[str]:
    return {request.partition(" HTTP/")[0] for request in told}
