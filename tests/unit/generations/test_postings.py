"""What is on its way to ComfyUI."""

from __future__ import annotations

from sidecar.generations.postings import Postings
from sidecar.identity import uuid7


def test_one_that_is_sent_again_is_on_its_way_until_both_have_ended() -> None:
    """
    Its next turn comes while the try before is still being looked after, and the end of that is not its own.
    """
    postings, generation_id = Postings(), uuid7()
    for _ in range(2):
        postings.add(generation_id)
    postings.discard(generation_id)
    still_there = generation_id in postings
    postings.discard(generation_id)
    postings.discard(generation_id)

    assert still_there
    assert generation_id not in postings
    assert not postings
