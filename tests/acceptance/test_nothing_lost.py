"""
Whatever is killed, and whenever: every generation ends in one right state, and every output is recorded once.

The tests share one installation, so that each begins on top of what the ones before it left behind.
"""

from __future__ import annotations

import random
import threading
import time

import httpx
import pytest
from acceptance.books import check_books
from acceptance.installation import Installation, until
from acceptance.workflows import checkpoint_picture, quick_picture, slow_picture

# ComfyUI is started several times; where that goes wrong, what was waited for says more than a time-out.
pytestmark = pytest.mark.timeout(300)

PROMPTS_A_ROUND = 10
LONGEST_UNTIL_KILLED_S = 0.6
ANSWER_TIMEOUT_S = 5.0  # comfy_nodes/sidecar_client.py


def slow_one_running(fragile: Installation, steps: int = 40) -> str:
    prompt_id = fragile.submit(slow_picture(steps))
    until(lambda: prompt_id in fragile.queue()[0], what="The slow prompt runs")
    return prompt_id


def states_of(fragile: Installation, ids: list[str]) -> set[str]:
    return {fragile.generation(prompt_id)["state"] for prompt_id in ids}


def test_the_sidecar_is_killed_while_a_prompt_runs(fragile: Installation) -> None:
    """ComfyUI goes on; the sidecar finds the outcome when it is back, and what waited gets its turn."""
    running = slow_one_running(fragile)
    waiting = [fragile.submit(quick_picture()) for _ in range(3)]
    fragile.wait_for_state(running, "running")
    fragile.kill_sidecar()
    fragile.start_sidecar()
    submitted = [running, *waiting]

    assert {fragile.wait_until_kept(prompt_id)["state"] for prompt_id in submitted} == {"completed"}
    check_books(fragile, submitted, files_may_be_left_over=False)


def test_comfyui_is_killed_with_prompts_waiting(fragile: Installation) -> None:
    """
    What ran and what waited in ComfyUI's own queue runs again when ComfyUI is back: what waited in its turn, what ran
    after a pause, since perhaps it was what ComfyUI died of.
    """
    submitted = [slow_one_running(fragile), *(fragile.submit(quick_picture()) for _ in range(4))]
    fragile.wait_for_state(submitted[1], "submitted")
    fragile.kill_comfyui()
    until(lambda: fragile.comfyui_is("away"), what="The sidecar notices")
    while_away = [fragile.generation(prompt_id)["state"] for prompt_id in submitted]
    fragile.start_comfyui()
    finished = [fragile.wait_until_kept(prompt_id)["finished_at"] for prompt_id in submitted]

    assert not {"completed", "failed", "cancelled", "lost"} & set(while_away)
    assert finished[1:] == sorted(finished[1:])
    check_books(fragile, submitted, files_may_be_left_over=True)


def test_a_generation_is_asked_for_and_cancelled_while_comfyui_is_away(fragile: Installation) -> None:
    """The sidecar goes on accepting; what was taken back meanwhile does not run."""
    running = slow_one_running(fragile)
    fragile.wait_for_state(running, "running")
    fragile.kill_comfyui()
    until(lambda: fragile.comfyui_is("away"), what="The sidecar notices")
    api = f"{fragile.sidecar_url}/api/v1/generations"
    wanted = fragile.http.post(api, json={"workflow": quick_picture()}).json()["id"]
    unwanted = fragile.http.post(api, json={"workflow": quick_picture()}).json()["id"]
    cancelled = [fragile.http.post(f"{api}/{one}/cancel").json() for one in (unwanted, running)]
    fragile.start_comfyui()

    assert [(one["state"], one["cancel_requested"]) for one in cancelled] == [("cancelled", True), ("running", True)]
    assert fragile.wait_until_kept(wanted)["state"] == "completed"
    assert fragile.wait_for_state(running, "cancelled", "completed", "lost")["state"] == "cancelled"
    assert fragile.generation(unwanted)["state"] == "cancelled"
    check_books(fragile, [wanted, unwanted, running], files_may_be_left_over=True)


def test_both_are_killed_at_once(fragile: Installation) -> None:
    """As when the power goes. Whichever is back first waits for the other."""
    submitted = [slow_one_running(fragile), *(fragile.submit(quick_picture()) for _ in range(4))]
    fragile.kill_comfyui()
    fragile.kill_sidecar()
    fragile.start_sidecar()
    fragile.start_comfyui()

    assert {fragile.wait_until_kept(prompt_id)["state"] for prompt_id in submitted} == {"completed"}
    check_books(fragile, submitted, files_may_be_left_over=True)


def test_prompts_run_while_the_sidecar_is_away(fragile: Installation) -> None:
    """They go straight to ComfyUI under an id of ours, and are in the history as soon as the sidecar is back."""
    fragile.kill_sidecar()
    workflow = checkpoint_picture(save_node="SaveImage")
    submitted = [fragile.submit(workflow), *(fragile.submit(quick_picture()) for _ in range(3))]
    failing = quick_picture()
    failing["2"]["inputs"]["filename_prefix"] = "../outside"
    failed = fragile.submit(failing)
    until(lambda: fragile.queue() == ([], []), what="ComfyUI has run them")
    still_waiting = [slow_one_running(fragile), fragile.submit(quick_picture())]
    fragile.start_sidecar()

    imported = [fragile.wait_until_kept(prompt_id) for prompt_id in submitted + still_waiting]
    assert {generation["source"] for generation in imported} == {"page"}
    assert imported[0]["checkpoint"] == workflow["1"]["inputs"]["ckpt_name"]
    assert fragile.generation(failed)["state"] == "failed"
    check_books(fragile, [*submitted, failed, *still_waiting], files_may_be_left_over=False)


def test_prompts_run_past_a_sidecar_that_hangs(fragile: Installation) -> None:
    """The first one waits for its answer, the others do not; what it was asked meanwhile runs no second time."""
    with fragile.frozen_sidecar():
        begun = time.monotonic()
        submitted = [fragile.submit(quick_picture()) for _ in range(4)]
        waited_s = time.monotonic() - begun
        until(lambda: fragile.queue() == ([], []), what="ComfyUI has run them")

    assert waited_s < 3 * ANSWER_TIMEOUT_S  # of four
    assert {fragile.wait_until_kept(prompt_id)["state"] for prompt_id in submitted} == {"completed"}
    check_books(fragile, submitted, files_may_be_left_over=False)


class Stream:
    """Somebody who queues one quick prompt after the other and tries again where nobody answers."""

    def __init__(self, installation: Installation, prompts: int) -> None:
        self.taken: list[str] = []
        """The ids that were answered."""
        self._installation = installation
        self._left = prompts
        self._thread = threading.Thread(target=self._run)

    def start(self) -> Stream:
        self._thread.start()
        return self

    def wait(self) -> list[str]:
        self._thread.join()
        return self.taken

    def _run(self) -> None:
        while self._left:
            try:
                answer = self._installation.post_prompt(quick_picture())
            except httpx.TransportError:  # ComfyUI is away; whether it took the prompt, nobody can say
                time.sleep(0.2)
                continue
            assert answer.status_code == 200, answer.text
            self.taken.append(answer.json()["prompt_id"])
            self._left -= 1
            time.sleep(0.05)


def test_everything_is_killed_at_random_under_a_stream_of_prompts(fragile: Installation) -> None:
    """Several rounds, at moments that nobody chose; in the end everything that was taken has been made."""
    sidecar = (fragile.kill_sidecar, fragile.start_sidecar)
    comfyui = (fragile.kill_comfyui, fragile.start_comfyui)
    streams = []
    for victims in ([sidecar], [comfyui], [comfyui, sidecar]):
        streams.append(Stream(fragile, PROMPTS_A_ROUND).start())
        time.sleep(random.uniform(0.0, LONGEST_UNTIL_KILLED_S))
        for kill, _ in victims:
            kill()
        for _, start in victims:
            start()
    taken = [prompt_id for stream in streams for prompt_id in stream.wait()]
    history = fragile.wait_until_nothing_is_open()

    assert len(set(taken)) == PROMPTS_A_ROUND * len(streams)
    assert {generation["state"] for generation in history if generation["id"] in taken} == {"completed"}
    check_books(fragile, taken, files_may_be_left_over=True)
