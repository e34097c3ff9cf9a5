"""Whose prompts somebody sees and touches in ComfyUI's own queue and history."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from fakes.comfyui_queue import NewerQueue, OlderQueue, item, owned
from fakes.knowing_sidecar import id_of, person

from comfy_nodes.caller import ANONYMOUS, LOCAL_OWNER, Caller, calling, read_caller
from comfy_nodes.held_prompts import HeldPrompt
from comfy_nodes.queue_hooks import FROM_SIDECAR, arriving_from

ADA, BOB, ROOT = (
    read_caller(person(name, role)) for name, role in (("ada", "member"), ("bob", "member"), ("root", "admin"))
)


@pytest.fixture(params=[OlderQueue, NewerQueue])
def queue(request: pytest.FixtureRequest) -> Any:
    """Bob's runs, one of each waits, one of each is held, one of each has ended, and one is nobody's."""
    queue = owned(request.param())
    told = arriving_from.set(FROM_SIDECAR)
    for number, owner in enumerate(("ada", "bob", "nobody")):
        queue.put(item(number, f"ended {owner}", None if owner == "nobody" else id_of(owner)))
        _, taken = queue.get()
        queue.task_done(taken, {"outputs": {}})
    for number, owner in ((10, "bob"), (11, "ada"), (12, "bob")):
        queue.put(item(number, f"{number} {owner}", id_of(owner), client_id=f"browser of {owner}"))
    queue.get()
    for number, owner in ((13, "ada"), (14, "bob")):
        queue.genonaut.held.add(HeldPrompt(f"{number} {owner}", number, None, 0, (), id_of(owner)))
    arriving_from.reset(told)
    return queue


def seen(queue: Any, caller: Caller | None) -> tuple[list[Any], list[Any]]:
    with calling(caller):
        running, pending = queue.get_current_queue()
        assert (running, pending) == queue.get_current_queue_volatile()
    return list(running), list(pending)


def ids(items: list[Any]) -> list[str]:
    return [entry[1] for entry in items]


def test_others_prompts_are_placeholders_in_their_places(queue: Any) -> None:
    """One's own place is right; of the others there is no id, no graph, no client, no secret."""
    running, pending = seen(queue, ADA)

    assert [entry[0] for entry in (*running, *pending)] == [10, 11, 12, 13, 14]
    assert [entry[1] for entry in pending if entry[2]] == ["11 ada"]
    placeholders = [*running, pending[1], pending[3]]
    assert {(str(entry[2]), entry[3]["client_id"], str(entry[4]), str(entry[5])) for entry in placeholders} == {
        ("{}", "", "[]", "{}")
    }
    assert "bob" not in json.dumps(placeholders)
    assert "hidden" not in json.dumps(placeholders)


@pytest.mark.parametrize(("caller", "remain"), [(None, 5), (LOCAL_OWNER, 5), (ADA, 2), (BOB, 3), (ROOT, 0)])
def test_somebody_waits_for_what_is_their_own(queue: Any, caller: Caller | None, remain: int) -> None:
    """Pages and programs go on when none of theirs remains; ComfyUI's worker and the sidecar count all."""
    with calling(caller):
        assert queue.get_tasks_remaining() == remain


def test_a_placeholder_stays_the_same_and_is_good_for_nothing(queue: Any) -> None:
    """The page does not lose sight of it; whoever names it changes nothing and finds nothing."""
    first, again = (ids(seen(queue, ADA)[1])[1] for _ in range(2))
    with calling(ADA):
        deleted = queue.delete_queue_item(lambda entry: entry[1] == first)
        found = queue.get_history(first)

    assert first == again
    assert (deleted, found) == (False, {})
    assert len(queue.queue) == 2


@pytest.mark.parametrize("caller", [None, LOCAL_OWNER])
def test_the_worker_the_sidecar_and_open_access_see_everything(queue: Any, caller: Caller | None) -> None:
    """As if we were not there."""
    running, pending = seen(queue, caller)
    with calling(caller):
        history = queue.get_history()

    assert ids(running) + ids(pending) == ["10 bob", "11 ada", "12 bob", "13 ada", "14 bob"]
    assert list(history) == ["ended ada", "ended bob", "ended nobody"]


@pytest.mark.parametrize("caller", [ANONYMOUS, ROOT])
def test_administrators_have_their_own_prompts_too_and_strangers_none(queue: Any, caller: Caller) -> None:
    """What others make is for neither of them here; nobody's prompts are no stranger's."""
    running, pending = seen(queue, caller)
    with calling(caller):
        assert queue.get_history() == {}
        assert queue.get_history("ended bob") == {}
        assert queue.get_history("ended nobody") == {}

    assert {str(entry[2]) for entry in (*running, *pending)} == {"{}"}


def test_the_history_has_only_ones_own(queue: Any) -> None:
    """Listed, paged and by id."""
    with calling(ADA):
        assert list(queue.get_history()) == ["ended ada"]
        assert list(queue.get_history(max_items=1)) == ["ended ada"]
        assert list(queue.get_history(None, 5, 1)) == []
        assert list(queue.get_history(prompt_id="ended ada")) == ["ended ada"]
        assert queue.get_history(prompt_id="ended bob") == {}

    assert len(queue.history) == 3


def test_of_what_is_under_review_the_history_shows_its_owner_nothing(queue: Any) -> None:
    """That it has ended, and how; administrators see what came of it, and so does the sidecar."""
    for prompt_id, name in (("looked at", "ada"), ("of root", "root")):
        queue.history[prompt_id] = {
            "prompt": item(1, prompt_id, id_of(name))[:5],
            "outputs": {"9": {"images": [{"filename": "a.png"}]}},
            "status": {"completed": True},
        }
        queue.history[prompt_id]["prompt"][3]["genonaut"]["review"] = True
    with calling(ADA):
        (entry,) = queue.get_history("looked at").values()
    with calling(ROOT):
        (in_full,) = queue.get_history("of root").values()

    assert (entry["outputs"], entry["status"]) == ({"9": {"images": []}}, {"completed": True})
    assert in_full["outputs"] == {"9": {"images": [{"filename": "a.png"}]}}
    assert queue.get_history("looked at")["looked at"]["outputs"]["9"]["images"]
    assert queue.is_under_review("looked at")
    assert not queue.is_under_review("ended ada")


def test_the_history_is_whole_again_whatever_happens_in_between(queue: Any) -> None:
    """An error in somebody's question takes nothing from anybody."""
    with calling(ADA), pytest.raises(TypeError):
        queue.get_history(max_items="many")

    assert len(queue.history) == 3


def delete(prompt_id: str) -> Callable[[Any], Any]:
    return lambda queue: queue.delete_queue_item(lambda entry: entry[1] == prompt_id)


@pytest.mark.parametrize(
    ("what", "gone"),
    [
        (delete("12 bob"), []),
        (delete("14 bob"), []),
        (delete("10 bob"), []),
        (lambda queue: queue.delete_history_item("ended bob"), []),
        (lambda queue: queue.delete_history_item("ended nobody"), []),
        (delete("11 ada"), ["11 ada"]),
        (lambda queue: queue.wipe_queue(), ["11 ada"]),
        (lambda queue: queue.delete_history_item("ended ada"), ["ended ada"]),
        (lambda queue: queue.wipe_history(), ["ended ada"]),
    ],
)
def test_what_is_deleted_or_cleared_is_ones_own(queue: Any, what: Callable[[Any], Any], gone: list[str]) -> None:
    """In queue and history alike; everybody else's stays."""
    before = {*ids(queue.queue), *queue.history}
    with calling(ADA):
        what(queue)

    assert before - {*ids(queue.queue), *queue.history} == set(gone)
    cancelled = [getattr(entry, "prompt_id", entry) for entry in queue.cancelled]
    assert cancelled in ([], [id_of("ada")])


def test_what_is_held_is_cancelled_by_its_owner_alone(queue: Any) -> None:
    """The sidecar is told which one, or whose all are meant."""
    with calling(ADA):
        assert not delete("14 bob")(queue)
        assert delete("13 ada")(queue)
        queue.wipe_queue()

    assert [getattr(entry, "prompt_id", entry) for entry in queue.cancelled] == ["13 ada", id_of("ada")]


def test_what_runs_is_nothing_that_waited_when_somebody_cleared(queue: Any) -> None:
    """Though the last list of what is held may still have it."""
    queue.wipe_queue()

    assert queue.cleared_but_for == {"10 bob"}


def test_what_somebody_clears_is_journalled_as_cancelled_once(queue: Any) -> None:
    """As when it is deleted one by one, also when it is the last one and ComfyUI empties its queue for that."""
    with calling(ADA):
        queue.wipe_queue()
    with calling(BOB):
        queue.wipe_queue()

    ended = [entry for entry in queue.genonaut.journal.entries if entry[0] == "finished"]
    assert ended[3:] == [("finished", "11 ada"), ("finished", "12 bob")]
    assert queue.queue == []


def test_a_newer_comfyui_interrupts_only_ones_own() -> None:
    """Its jobs routes ask the queue for it."""
    queue = owned(NewerQueue())
    queue.put(item(1, "of bob", id_of("bob")))
    queue.get()
    with calling(ADA):
        assert not queue.interrupt_if_running("of bob")
    with calling(BOB):
        assert queue.interrupt_if_running("of bob")

    assert queue.interrupted == ["of bob"]


def test_an_older_comfyui_gets_nothing_that_it_cannot_do() -> None:
    """Who looks whether it can interrupt one prompt alone finds that it cannot."""
    assert not hasattr(owned(OlderQueue()), "interrupt_if_running")


@pytest.mark.parametrize(("caller", "owner"), [(ADA, id_of("ada")), (None, id_of("bob")), (LOCAL_OWNER, id_of("bob"))])
def test_what_another_pack_queues_belongs_to_whoever_asked_that_pack(caller: Caller | None, owner: str) -> None:
    """Not to whom its tag names, which anybody may have written; in open access nothing is rewritten."""
    queue = owned(OlderQueue())
    with calling(caller):
        queue.put(item(1, "forged", id_of("bob")))

    assert queue.whose("forged") == owner
    assert queue.genonaut.journal.facts[0]["extra_data"]["genonaut"]["owner_id"] == owner


def test_whose_a_prompt_is_can_be_told_until_it_is_forgotten(queue: Any) -> None:
    """Running, waiting or ended; nobody's is another thing than not known."""
    assert [queue.whose(one) for one in ("10 bob", "11 ada", "ended bob", "ended nobody", "else")] == [
        id_of("bob"),
        id_of("ada"),
        id_of("bob"),
        "",
        None,
    ]
    assert queue.running_for() == [("10 bob", id_of("bob"))]


def test_the_client_of_somebodys_prompt_is_theirs_until_it_has_ended(queue: Any) -> None:
    """Whoever else came with that id would hear of it."""
    assert queue.is_anothers_client("browser of bob", id_of("ada"))
    assert not queue.is_anothers_client("browser of bob", id_of("bob"))
    assert not queue.is_anothers_client("browser of eve", id_of("ada"))
