"""What a ComfyUI is shown of us."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from uuid import uuid4

from websockets.exceptions import InvalidStatus

from sidecar.comfyui.client import ComfyUIClient
from sidecar.comfyui.dialect import Prompt
from sidecar.errors import ComfyUIAway
from sidecar.gallery.references import FileReference
from sidecar.pairing import PAIRING_HEADER

SECRET = "shown-to-nobody"


async def test_a_comfyui_without_the_pack_is_shown_no_proof_besides_the_question_for_the_pack():
    """It has no use for it, and whoever reads there could speak in the sidecar's name elsewhere."""
    heads: list[str] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
        body = b"{}"
        status = "200 OK" if "GET /system_stats" in heads[-1] else "404 Not Found"
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body)
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        host, port = server.sockets[0].getsockname()
        client = ComfyUIClient(f"http://{host}:{port}", SECRET, instance_id=uuid4())
        with suppress(InvalidStatus):
            async with client.listening():
                pass
        client.learn(has_pack=False, directories={})
        for doing in (client.submit_prompt(Prompt("id", {})), client.object_info(), client.free_memory()):
            with suppress(ComfyUIAway):
                await doing
        await client.close()

    shown = [head.split()[1] for head in heads if PAIRING_HEADER in head]
    assert shown == ["/genonaut/observer"]
    assert len(heads) == 6
    assert SECRET not in "".join(heads)


async def test_a_comfyui_with_the_pack_is_shown_a_proof_on_its_own_routes_too():
    """Where people have accounts, the pack in front of them lets in nobody else without credentials."""
    heads: list[str] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        host, port = server.sockets[0].getsockname()
        client = ComfyUIClient(f"http://{host}:{port}", SECRET, instance_id=uuid4())
        client.learn(has_pack=True, directories={})
        await client.system_stats()
        await client.object_info()
        await client.free_memory()
        await client.fetch(FileReference("a.png", "", "output"))
        await client.close()

    assert len(heads) == 4
    assert all(PAIRING_HEADER in head for head in heads)
    assert SECRET not in "".join(heads)
