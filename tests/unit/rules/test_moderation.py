"""A service that is asked what it thinks of a text, and what becomes of the text when it does not say."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

import pytest
from fakes.moderation_service import (
    SECRET,
    BrokenModeration,
    DrippingModeration,
    ModerationService,
    SlowModeration,
)

from sidecar.comfyui.workflow_reader import Place, Written
from sidecar.errors import ModerationAway
from sidecar.rules.moderation import ASKED_AT_ONCE, Moderation
from sidecar.settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ADA = UUID(int=1)
NOBODY_THERE = "http://127.0.0.1:9/moderate"


def written(*texts: str) -> list[Written]:
    return [Written(text, Place("1", "text"), is_negative=text.startswith("blurry")) for text in texts]


@asynccontextmanager
async def asking(url: str, *, timeout_s: float = 20, on_failure: str = "allow") -> AsyncIterator[Moderation]:
    settings = Settings(
        data_folder=Path(),
        moderation_url=url,
        moderation_secret=SECRET,
        moderation_timeout_s=timeout_s,  # type: ignore[arg-type] # whole seconds in settings
        moderation_on_failure=on_failure,
    )
    moderation = Moderation(settings)
    try:
        yield moderation
    finally:
        await moderation.close()


async def test_the_service_is_told_every_text_once_and_who_wrote_them() -> None:
    """Signed, so that it can tell who asks; negative prompts are marked."""
    service = ModerationService()
    async with service.served() as url, asking(url) as moderation:
        hits = await moderation.look_at(written("a cat", "blurry", "a cat", " "), ADA)

    assert hits == ()
    texts = [{"text": "a cat", "negative": False}, {"text": "blurry", "negative": True}]
    assert service.asked == [{"texts": texts, "user_id": str(ADA)}]


async def test_of_nothing_it_is_not_asked() -> None:
    """Nobody waits for an answer about nothing."""
    async with asking(NOBODY_THERE, on_failure="refuse") as moderation:
        assert await moderation.look_at(written("", " \n"), ADA) == ()


@pytest.mark.parametrize("action", ["flag", "refuse"])
async def test_what_it_thinks_is_a_hit_with_its_reason(action: str) -> None:
    """Beside those of the rules of this place; the reason is one line, whatever it is."""
    async with ModerationService().served() as url, asking(url) as moderation:
        (hit,) = await moderation.look_at(written(f"{action} this"), ADA)

    assert (hit.action, hit.rule_name, hit.rule_id, hit.level) == (action, "moderation service", None, None)
    assert "does not allow what is written here: not in this house. Change it" in hit.message
    assert hit.text_hash is not None


@pytest.mark.parametrize(
    "service",
    [
        SlowModeration(60),
        DrippingModeration(),
        BrokenModeration(500, b'{"action": "allow"}'),
        BrokenModeration(307, b""),
        BrokenModeration(200, b"<html>"),
        BrokenModeration(200, b'{"action": "perhaps"}'),
        BrokenModeration(200, b"[" * 10_000),
        BrokenModeration(200, b" " * 100_000),
        None,
    ],
    ids=["slow", "dripping", "500", "elsewhere", "a page", "perhaps", "deep", "long", "nobody there"],
)
async def test_while_it_does_not_say_what_is_submitted_comes_in_or_not_by_setting(
    service: ModerationService | None,
) -> None:
    """Let in, it is written down that nobody has looked at it; refused, people hear when to try again."""
    timeout_s = 0.15 if isinstance(service, (SlowModeration, DrippingModeration)) else 20

    async def look(url: str) -> None:
        async with asking(url, timeout_s=timeout_s) as moderation:
            (hit,) = await moderation.look_at(written("a cat"), ADA)
            assert (hit.action, hit.code, hit.rule_name) == ("log", "not_moderated", "moderation service")
        async with asking(url, timeout_s=timeout_s, on_failure="refuse") as moderation:
            with pytest.raises(ModerationAway) as refused:
                await moderation.look_at(written("a cat"), ADA)
            assert refused.value.retry_after_s == 10

    if service is None:
        await look(NOBODY_THERE)
        return
    async with service.served() as url:
        await look(url)
    assert len(service.asked) == 2


async def test_who_asks_about_the_same_texts_shares_one_answer_for_a_while() -> None:
    """At the same moment, and after it; other texts, and the same ones as a negative prompt, are asked about anew."""
    service = SlowModeration(0.05)
    async with service.served() as url, asking(url) as moderation:
        found = await asyncio.gather(*(moderation.look_at(written("flag it"), UUID(int=who)) for who in range(50)))
        await moderation.look_at(written("flag it"), ADA)
        await moderation.look_at([Written("flag it", Place("1", "text"), is_negative=True)], ADA)

    assert {hits[0].action for hits in found} == {"flag"}
    assert len(service.asked) == 2
    assert len(service.ids) == 2


async def test_what_failed_is_not_remembered() -> None:
    """The next one asks again."""
    service = BrokenModeration(503, b"")
    async with service.served() as url, asking(url) as moderation:
        for _ in range(2):
            await moderation.look_at(written("a cat"), ADA)

    assert len(service.asked) == 2


async def test_a_crowd_asks_a_few_at_once() -> None:
    """The service is somebody else's, and so are the sockets."""
    service = SlowModeration(0.01)
    async with service.served() as url, asking(url) as moderation:
        await asyncio.gather(*(moderation.look_at(written(f"text {number}"), ADA) for number in range(100)))

    assert len(service.asked) == 100
    assert service.most_at_once <= ASKED_AT_ONCE


async def test_somebody_who_goes_away_takes_nobodys_answer_along() -> None:
    """A browser is closed; another one waits for the same answer."""
    service = SlowModeration(0.1)
    async with service.served() as url, asking(url) as moderation:
        first = asyncio.create_task(moderation.look_at(written("flag it"), ADA))
        second = asyncio.create_task(moderation.look_at(written("flag it"), ADA))
        while not service.asked:
            await asyncio.sleep(0.005)
        first.cancel()

        assert (await second)[0].action == "flag"
    assert len(service.asked) == 1
