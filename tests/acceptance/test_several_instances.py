"""Two real ComfyUIs behind one sidecar; one of them has never heard of Genonaut."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from acceptance.books import check_events, rows
from acceptance.installation import Installation, found_comfyui, until
from acceptance.workflows import checkpoint_picture, quick_picture, slow_picture
from real import models
from real.processes import WITHOUT_A_PAGE, RunningComfyUI, start_comfyui

from sidecar.parts import put_together
from sidecar.settings import read_settings

# Two ComfyUIs are started; where that goes wrong, what was waited for says more than a time-out.
pytestmark = pytest.mark.timeout(300)

Json = dict[str, Any]


class Several:
    """A ComfyUI with the pack, one without, and what the sidecar makes of both."""

    def __init__(self, installation: Installation, plain: RunningComfyUI, plain_id: str) -> None:
        self.genonaut = installation
        self.plain = plain
        self.plain_id = plain_id
        self._instances = f"{installation.sidecar_url}/api/v1/admin/instances"

    def ask(self, *workflows: Json) -> list[str]:
        """Ask the sidecar for generations; gives their ids."""
        api = f"{self.genonaut.sidecar_url}/api/v1/generations"
        answers = [self.genonaut.http.post(api, json={"workflow": workflow}) for workflow in workflows]
        assert {answer.status_code for answer in answers} == {202}, answers[0].text
        return [answer.json()["id"] for answer in answers]

    def instance(self) -> Json:
        """The one without the pack, as an admin sees it."""
        found: Json = self.genonaut.http.get(f"{self._instances}/{self.plain_id}").json()
        return found

    def change(self, **changes: str) -> None:
        answer = self.genonaut.http.patch(f"{self._instances}/{self.plain_id}", json=changes)
        assert answer.status_code == 200, answer.text

    def until_kept(self, ids: list[str]) -> list[Json]:
        return [self.genonaut.wait_until_kept(generation_id) for generation_id in ids]

    def made_by_plain(self, ids: list[str]) -> list[str]:
        """Those that were made without the pack."""
        query = "SELECT lower(hex(id)) AS id, lower(hex(instance_id)) AS instance FROM generations"
        found = {row["id"]: row["instance"] for row in rows(self.genonaut.data / "genonaut.sqlite3", query)}
        return [one for one in ids if found[one.replace("-", "")] == self.plain_id.replace("-", "")]

    async def look_at_the_clock(self) -> None:
        """As another process would, in which a silence of one second is too long."""
        settings = read_settings({"GENONAUT_DATA": str(self.genonaut.data)})
        parts = put_together(replace(settings, silent_at_most_s=1))
        await parts.timeouts.end_overdue({})
        await parts.instances.close()
        await parts.database.close()

    def running(self) -> list[str]:
        """On either of them."""
        lists = [self.genonaut.http.get(f"{url}/queue").json() for url in (self.plain.url, self.genonaut.url)]
        return [item[1] for each in lists for item in each["queue_running"]]

    def running_on_plain(self, ids: Collection[str]) -> list[str]:
        """Which of these it works on."""
        lists = self.genonaut.http.get(f"{self.plain.url}/queue").json()
        return [item[1] for item in lists["queue_running"] if item[1] in ids]


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Several]:
    base = tmp_path_factory.mktemp("plain")
    program = found_comfyui()
    models.link_models(models.make_models(program), base)
    with Installation(
        tmp_path_factory.mktemp("several"), pack_starts_sidecar=False, arguments=WITHOUT_A_PAGE
    ) as genonaut:
        with ThreadPoolExecutor() as pool:
            with_pack = pool.submit(genonaut.start_comfyui)
            without = pool.submit(
                start_comfyui,
                program,
                base=base,
                arguments=WITHOUT_A_PAGE,
                environment={"OMP_NUM_THREADS": "1"},
                forked=True,
            )
            genonaut.start_sidecar()
            with_pack.result()
        with without.result() as plain:
            answer = genonaut.http.post(f"{genonaut.sidecar_url}/api/v1/admin/instances", json={"url": plain.url})
            assert answer.status_code == 201, answer.text
            genonaut.wait_until_connected()
            yield Several(genonaut, plain, answer.json()["id"])


def test_both_work_and_what_the_one_without_the_pack_made_is_kept_like_the_rest(several: Several) -> None:
    """Its outcomes come from its history and its pictures through its HTTP; our own node is replaced there."""
    ids = several.ask(*(checkpoint_picture() for _ in range(4)))
    kept = several.until_kept(ids)
    made = several.made_by_plain(ids)

    assert 0 < len(made) < len(ids)
    for generation in kept:
        assert generation["gpu_seconds"] > 0
        assert [image["state"] for image in generation["images"]] == ["kept"]
        assert sorted(generation["images"][0]["thumbnails"]) == ["large", "medium", "small"]
    assert several.instance()["pack_version"] is None
    assert several.instance()["comfyui_version"] == "0.3.75"


def test_what_fails_or_is_cancelled_without_the_pack_ends_as_it_should(several: Several) -> None:
    """The node's own words; and an interrupt of that one prompt alone."""
    failing = quick_picture()
    failing["2"]["inputs"]["filename_prefix"] = "../outside"
    failed = several.ask(failing, failing | {"3": failing["1"]})
    slow = several.ask(*(slow_picture(400) for _ in range(4)))
    # What fails runs there, too, for a moment.
    (victim,) = until(lambda: several.running_on_plain(slow), what="The one without the pack works on a slow one")
    until(lambda: several.genonaut.generation(victim)["state"] == "running", what="It is known to run")
    waiting = [one for one in several.made_by_plain(slow) if one != victim]
    api = f"{several.genonaut.sidecar_url}/api/v1/generations"
    for one in (*waiting, victim, *(set(slow) - {*waiting, victim})):
        several.genonaut.http.post(f"{api}/{one}/cancel")

    assert {several.genonaut.wait_for_state(one, "failed")["error"]["code"] for one in failed} == {"node_failed"}
    for one in slow:
        several.genonaut.wait_for_state(one, "cancelled")


def test_what_takes_too_long_is_interrupted_whoever_looks_at_the_clock(several: Several) -> None:
    """A process that sent nothing ends it in ComfyUI by its id, and what comes next is not held up."""
    (stuck,) = several.ask(slow_picture(400))
    several.genonaut.wait_for_state(stuck, "running")

    def given_up() -> bool:
        asyncio.run(several.look_at_the_clock())
        return bool(several.genonaut.generation(stuck)["state"] == "failed")

    until(given_up, what="It is silent for a second, as far as is written down")
    assert several.genonaut.generation(stuck)["error"]["code"] == "stalled"
    until(lambda: not several.running(), what="It is interrupted")
    several.until_kept(several.ask(quick_picture(), quick_picture()))


def test_a_draining_instance_finishes_what_it_has_and_then_gets_nothing(several: Several) -> None:
    """The other one does everything until it may work again."""
    slow = several.ask(*(slow_picture(10) for _ in range(4)))
    until(lambda: several.running_on_plain(slow), what="The one without the pack works")
    several.change(wanted="draining")
    several.until_kept(slow)
    until(lambda: several.instance()["wanted"] == "paused", what="It is drained")
    ids = several.ask(*(quick_picture() for _ in range(4)))
    several.until_kept(ids)
    several.change(wanted="active")

    assert several.made_by_plain(slow)
    assert several.made_by_plain(ids) == []


def test_one_is_killed_under_load_and_every_generation_still_completes(several: Several) -> None:
    """What it had in its hands is done by the other one, each exactly once."""
    ids = several.ask(*(slow_picture(10) for _ in range(3)), *(quick_picture() for _ in range(7)))
    until(lambda: several.running_on_plain(ids), what="The one without the pack works")
    several.plain.kill()
    several.until_kept(ids)
    history = several.genonaut.wait_until_nothing_is_open()

    check_events(several.genonaut, {generation["id"]: generation["state"] for generation in history})
    database = several.genonaut.data / "genonaut.sqlite3"
    images = Counter(row["id"] for row in rows(database, "SELECT lower(hex(generation_id)) AS id FROM images"))
    assert [images[generation_id.replace("-", "")] for generation_id in ids] == [1] * len(ids)
    assert several.instance()["state"] == "away"
    assert json.dumps(several.instance()["evidence"]).count("ended_while_running") <= 1
