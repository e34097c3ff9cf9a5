"""How generations and ComfyUI's prompts are called."""

from __future__ import annotations

from uuid import UUID

from sidecar.identity import generation_id_of, second_prompt_id, uuid7


def test_a_generation_is_known_by_the_id_of_its_second_run_too() -> None:
    """
    A prompt that has ended never runs again, so a second run on purpose has another id.
    """
    generation_id = uuid7()
    second = second_prompt_id(generation_id)

    assert second != str(generation_id)
    assert UUID(second).version == 8
    assert generation_id_of(second) == generation_id_of(str(generation_id)) == generation_id


def test_a_prompt_of_another_pack_always_becomes_the_same_generation() -> None:
    """
    Whatever it is called.
    """
    assert generation_id_of("my prompt") == generation_id_of("my prompt") != generation_id_of("another")
