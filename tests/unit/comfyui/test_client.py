"""What a ComfyUI is shown of us."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from uuid import uuid4

import pytest
from fakes.comfyui import PAIRING_SECRET, ScriptedComfyUI
from fakes.stranger import first_lines, stranger
from websockets.exceptions import InvalidStatus

from sidecar.comfyui.client import ComfyUIClient
from sidecar.comfyui.dialect import Prompt
from sidecar.errors import ComfyUIAway, ComfyUIBroken
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
    assert shown == ["/genonaut/pairing"]
    assert len(heads) == 6
    assert SECRET not in "".join(heads)


async def test_a_comfyui_with_the_pack_is_shown_a_proof_on_its_own_routes_too():
    """Where people have accounts, the pack in front of them lets in nobody else without credentials."""
    comfyui = ScriptedComfyUI()
    comfyui.files["a b.png"] = b"png"
    async with comfyui.served():
        client = ComfyUIClient(comfyui.url, PAIRING_SECRET, instance_id=uuid4())
        client.learn(has_pack=True, directories={})
        await client.system_stats()
        await client.object_info()
        await client.free_memory()
        fetched = await client.fetch(FileReference("a b.png", "", "output"))
        await client.close()

    assert [asked for asked in comfyui.questions.heard if asked != "GET /genonaut/pairing"] == [
        "GET /system_stats",
        "GET /object_info",
        "POST /free",
        "GET /view?filename=a+b.png&subfolder=&type=output",
    ]
    assert fetched == b"png"


async def test_who_has_taken_the_port_of_a_comfyui_is_given_nothing():
    """Neither prompts nor questions, and nothing that it says is believed; one day it is the ComfyUI again."""
    async with stranger() as (url, told):
        client = ComfyUIClient(url, PAIRING_SECRET, instance_id=uuid4())
        client.learn(has_pack=True, directories={})
        for doing in (client.submit_prompt(Prompt("id", {})), client.cancel_prompt("id"), client.system_stats()):
            with pytest.raises(ComfyUIBroken, match="does not prove"):
                await doing
        with pytest.raises(ComfyUIBroken, match="does not prove"):
            async with client.listening():
                pass

    assert first_lines(told) == {"GET /genonaut/pairing"}
    comfyui = ScriptedComfyUI()
    async with comfyui.served(int(url.rpartition(":")[2])):
        await client.submit_prompt(Prompt("id", {}))
    await client.close()
    assert comfyui.pending == ["id"]


async def test_a_comfyui_that_was_started_anew_is_asked_by_its_new_name():
    """Another process is another name; who has taken its port in between hears nothing either."""
    first, second = ScriptedComfyUI(), ScriptedComfyUI()
    async with first.served():
        port = int(first.url.rpartition(":")[2])
        client = ComfyUIClient(first.url, PAIRING_SECRET, instance_id=uuid4())
        client.learn(has_pack=True, directories={})
        await client.submit_prompt(Prompt("first", {}))
    async with stranger(port) as (_, told):
        with pytest.raises(ComfyUIBroken, match="does not prove"):
            await client.submit_prompt(Prompt("second", {}))
    async with second.served(port):
        await client.submit_prompt(Prompt("second", {}))
    await client.close()

    assert first_lines(told) == {"GET /genonaut/pairing"}
    assert (first.pending, second.pending) == (["first"], ["second"])


async def test_one_comfyui_is_not_two_instances():
    """Who has taken the port of one could pass on to another what is asked of him; or an address was written twice."""
    followed_at: dict[str, str] = {}
    comfyui = ScriptedComfyUI()
    async with comfyui.served():
        urls = (comfyui.url, comfyui.url.replace("127.0.0.1", "localhost"))
        first, second = (
            ComfyUIClient(url, PAIRING_SECRET, instance_id=uuid4(), followed_at=followed_at) for url in urls
        )
        async with first.listening():
            with pytest.raises(ComfyUIBroken, match=f"followed at {comfyui.url}"):
                async with second.listening():
                    pass
        async with second.listening():
            pass  # the first one has gone
        await first.close()
        await second.close()
