"""How generations and ComfyUI's prompts are called."""

from __future__ import annotations

from sidecar.identity import RUNS_AT_MOST, generation_id_of, prompt_id_of_run, uuid7


def test_a_generation_is_known_by_the_ids_of_all_its_runs() -> None:
    """
    A prompt that has ended never runs again, so each run on purpose has another id.
    """
    generation_id = uuid7()
    runs = [prompt_id_of_run(generation_id, run) for run in range(1, RUNS_AT_MOST + 1)]

    assert runs[0] == str(generation_id)
    assert len(set(runs)) == len(runs)
    assert {generation_id_of(prompt_id) for prompt_id in runs} == {generation_id}


def test_one_that_runs_again_and_again_keeps_its_last_id() -> None:
    """
    There are no more versions; ComfyUI says so if it has run under this one.
    """
    generation_id = uuid7()

    assert prompt_id_of_run(generation_id, RUNS_AT_MOST + 5) == prompt_id_of_run(generation_id, RUNS_AT_MOST)


def test_a_prompt_of_another_pack_always_becomes_the_same_generation() -> None:
    """
    Whatever it is called.
    """
    assert generation_id_of("my prompt") == generation_id_of("my prompt") != generation_id_of("another")
