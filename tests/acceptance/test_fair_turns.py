"""Two people at one real ComfyUI: whoever comes later with one does not wait for everything of the other one's."""

from __future__ import annotations

import httpx
from acceptance.installation import Json, until
from acceptance.members import Members, Person, running
from acceptance.workflows import quick_picture

MANY = 20


def test_who_comes_later_with_one_is_next(members: Members) -> None:
    """
    As ComfyUI began with them: first the one that it had been fed ahead already, then that of the one who came last.
    """
    many, one = without_limits(members), without_limits(members)
    with running(many):
        before = [many.submit(quick_picture()) for _ in range(MANY)]
        until(lambda: len(held(many)) == MANY - 1, what="All but the one that is fed ahead are held")
        later = one.submit(quick_picture())
        waiting = one.api("GET", f"/generations/{later}").json()["waiting"]
        until(lambda: one.queue()[1][1:2] == [later], what="ComfyUI's queue shows it behind what is fed ahead")
    ended = [ended_one(many, prompt_id) for prompt_id in before]
    ended.append(ended_one(one, later))

    by_start = [generation["id"] for generation in sorted(ended, key=lambda generation: generation["started_at"])]
    assert by_start == [before[0], later, *before[1:]]
    assert (waiting["own_before"], waiting["others_before"]) == (0, 0)


def without_limits(members: Members) -> Person:
    person = members.newcomer()
    answer = members.root.api("PATCH", f"/admin/users/{person.id}", json={"plan": "unlimited"})
    assert answer.status_code == httpx.codes.OK, answer.text
    return person


def held(person: Person) -> list[Json]:
    items: list[Json] = person.api("GET", "/generations?state=pending").json()["items"]
    return items


def ended_one(person: Person, prompt_id: str) -> Json:
    def ended() -> Json | None:
        generation: Json = person.api("GET", f"/generations/{prompt_id}").json()
        return generation if generation["state"] == "completed" else None

    found: Json = until(ended, within_s=60, what=f"{prompt_id} has ended")
    return found
