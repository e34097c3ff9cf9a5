"""What the gate knows of prompts that come to it twice."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from fakes.knowing_sidecar import id_of, person
from fakes.paired import as_sidecar

from comfy_nodes import prompt_secrets
from comfy_nodes.caller import LOCAL_OWNER, Caller, calling, read_caller
from comfy_nodes.client_sockets import ClientSockets
from comfy_nodes.finished_prompts import FinishedPrompts
from comfy_nodes.held_prompts import HeldPrompts
from comfy_nodes.leading_term import LeadingTerm
from comfy_nodes.outcome_journal import OutcomeJournal
from comfy_nodes.prompt_gate import PromptGate
from comfy_nodes.sidecar_client import SidecarAway
from comfy_nodes.wire import encode_json
from sidecar.identity import prompt_id_of_run, uuid7

PROMPT = {"1": {"class_type": "SaveImage", "inputs": {}}}


class Queue:
    """Takes prompts, as ComfyUI's queue does."""

    def __init__(self) -> None:
        self.mutex = threading.RLock()
        self.genonaut = SimpleNamespace(held=HeldPrompts())
        self.taken: list[str] = []
        self.secrets: list[dict[str, Any]] = []

    def own_ids(self) -> set[str]:
        return set()

    def put(self, item: tuple[Any, ...]) -> None:
        self.taken.append(item[1])
        self.secrets.append(item[5])


class FinishingSidecar:
    """Takes the prompt and has it run to its end, but its answer is lost."""

    def __init__(self) -> None:
        self.after: Any = lambda prompt_id: None
        self.submitted: list[dict[str, Any]] = []

    async def submit(self, submission: dict[str, Any], **_said: Any) -> dict[str, Any]:
        self.submitted.append(submission)
        self.after(submission["id"])
        raise SidecarAway("it did not answer in time")


async def validate_prompt(prompt_id: str, workflow: Any, targets: Any) -> tuple[Any, ...]:
    return True, None, ["1"], {}


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[OutcomeJournal]:
    journal = OutcomeJournal(tmp_path / "outcomes.jsonl")
    yield journal
    journal.close()


@pytest.fixture
def queue() -> Queue:
    return Queue()


@pytest.fixture
def sidecar() -> FinishingSidecar:
    return FinishingSidecar()


@pytest.fixture
def gate(journal: OutcomeJournal, queue: Queue, sidecar: FinishingSidecar) -> PromptGate:
    server = SimpleNamespace(prompt_queue=queue, number=1, trigger_on_prompt=lambda body: body)
    execution = SimpleNamespace(SENSITIVE_EXTRA_DATA_KEYS=("api_key_comfy_org",), validate_prompt=validate_prompt)
    return PromptGate(server, execution, sidecar, journal, pairing_secret="paired")  # type: ignore[arg-type] # all that is used of it


def app_of(gate: PromptGate) -> web.Application:
    app = web.Application()
    app.router.add_post("/prompt", gate.answer)
    return app


async def test_a_prompt_whose_outcome_is_confirmed_never_runs_again(
    gate: PromptGate, journal: OutcomeJournal, queue: Queue
) -> None:
    """The journal has forgotten it by then; a dispatch that comes late is told so all the same."""
    gate.prompt_has_finished("done")
    async with TestClient(TestServer(app_of(gate))) as sidecar:
        posted = await sidecar.post(
            "/prompt",
            data=(body := encode_json({"prompt": PROMPT, "prompt_id": "done"})),
            headers=as_sidecar("POST", "/prompt", body),
        )
        told = await posted.json()

    assert not journal.is_finished("done")
    assert (posted.status, told["error"]["type"]) == (409, "already_finished")
    assert queue.taken == []


async def test_what_was_sent_in_an_earlier_term_comes_in_no_more(journal: OutcomeJournal, queue: Queue) -> None:
    """
    Also what was being validated when the later one was heard of: whoever drives ComfyUI now has not seen it here, and
    has given it elsewhere. Other packs see nothing of terms.
    """
    term = LeadingTerm()
    seen: list[str] = []
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def take_long(*_: object) -> tuple[Any, ...]:
        begun.set()
        await go_on.wait()
        return True, None, ["1"], {}

    def see(body: dict[str, Any]) -> dict[str, Any]:
        seen.extend(body)
        return body

    server = SimpleNamespace(prompt_queue=queue, number=1, trigger_on_prompt=see)
    execution = SimpleNamespace(SENSITIVE_EXTRA_DATA_KEYS=(), validate_prompt=take_long)
    gate = PromptGate(server, execution, None, journal, pairing_secret="paired", term=term)  # type: ignore[arg-type] # all that is used of it
    async with TestClient(TestServer(app_of(gate))) as sidecar:

        async def post(prompt_id: str, number: int | None) -> tuple[int, Any]:
            body = encode_json({"prompt": PROMPT, "prompt_id": prompt_id, "genonaut_term": number})
            posted = await sidecar.post("/prompt", data=body, headers=as_sidecar("POST", "/prompt", body))
            return posted.status, (await posted.json()).get("error")

        earlier = asyncio.create_task(post("earlier", 7))
        await begun.wait()
        term.is_over(8)
        go_on.set()
        status, error = await earlier
        others = [await post("now", 8), await post("later", 9), await post("too late", 8), await post("nobody's", None)]

    assert (status, error["type"], error["details"]) == (412, "term_is_over", "8")
    assert [status for status, _ in others] == [200, 200, 412, 200]
    assert queue.taken == ["now", "later", "nobody's"]
    assert "genonaut_term" not in seen


async def test_a_prompt_that_ran_while_its_answer_was_lost_does_not_run_again(
    gate: PromptGate, queue: Queue, sidecar: FinishingSidecar
) -> None:
    """Whoever posted it is told its id, as for any other."""
    ended: list[str] = []

    def run_to_its_end(prompt_id: str) -> None:
        ended.append(prompt_id)
        gate.prompt_has_finished(prompt_id)

    sidecar.after = run_to_its_end
    async with TestClient(TestServer(app_of(gate))) as page:
        posted = await page.post("/prompt", json={"prompt": PROMPT})
        told = await posted.json()

    assert (posted.status, [told["prompt_id"]]) == (200, ended)
    assert queue.taken == []


async def test_what_is_to_be_the_next_one_is_handed_over_as_such(gate: PromptGate, sidecar: FinishingSidecar) -> None:
    """As ComfyUI's page asks for it with Shift."""
    async with TestClient(TestServer(app_of(gate))) as page:
        for body in ({"front": True}, {}):
            await page.post("/prompt", json={"prompt": PROMPT, **body})

    assert [submission["front"] for submission in sidecar.submitted] == [True, False]


async def test_a_prompt_that_comes_a_second_time_has_its_secrets_again(
    gate: PromptGate, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ran out of memory, and runs once more under another id; some time after that they are forgotten."""
    generation_id = uuid7()
    gate.secrets.keep(str(generation_id), {"api_key_comfy_org": "hidden"})
    async with TestClient(TestServer(app_of(gate))) as sidecar:
        for run in (1, 2):
            prompt_id = prompt_id_of_run(generation_id, run)
            body = encode_json({"prompt": PROMPT, "prompt_id": prompt_id})
            await sidecar.post("/prompt", data=body, headers=as_sidecar("POST", "/prompt", body))
            gate.prompt_has_finished(prompt_id)
    monkeypatch.setattr(prompt_secrets, "SECRETS_KEPT_AFTER_END_S", 0.0)
    gate.secrets.keep("another", {"api_key_comfy_org": "hidden"})
    gate.prompt_has_finished("another")

    assert queue.secrets == [{"api_key_comfy_org": "hidden"}] * 2
    assert gate.secrets.take(str(generation_id)) == {}


def test_only_the_last_ones_are_remembered() -> None:
    """Memory stays bounded however long ComfyUI runs."""
    finished = FinishedPrompts(most=2)
    for prompt_id in ("a", "b", "c"):
        finished.remember(prompt_id)

    assert [one in finished for one in ("a", "b", "c")] == [False, True, True]


class TakingSidecar:
    """Takes every prompt, or is away."""

    def __init__(self, *, is_away: bool = False) -> None:
        self.is_away = is_away
        self.submissions: list[dict[str, Any]] = []
        self.forwarded_for: str | None = None

    async def submit(self, submission: dict[str, Any], *, forwarded_for: str | None) -> dict[str, Any]:
        self.forwarded_for = forwarded_for
        if self.is_away:
            raise SidecarAway("nobody answers")
        self.submissions.append(submission)
        return {"number": len(self.submissions)}


class KeepingQueue(Queue):
    """Keeps the whole item."""

    def __init__(self) -> None:
        super().__init__()
        self.items: list[tuple[Any, ...]] = []

    def put(self, item: tuple[Any, ...]) -> None:
        self.items.append(item)


ADA, BOB = read_caller(person("ada")), read_caller(person("bob"))
BODY = {"prompt": PROMPT, "client_id": "browser", "extra_data": {"client_id": "hidden", "kept": 1}}


async def post_as(
    caller: Caller | None, journal: OutcomeJournal, sidecar: TakingSidecar, queue: Queue, *, passes: bool = False
) -> tuple[int, dict[str, Any]]:
    """Post a prompt in a ComfyUI where Bob's browser has the client id that everybody names."""
    server: Any = SimpleNamespace(
        prompt_queue=queue, number=1, trigger_on_prompt=lambda body: body, queue_updated=lambda: None
    )
    execution = SimpleNamespace(SENSITIVE_EXTRA_DATA_KEYS=(), validate_prompt=validate_prompt)
    sockets = ClientSockets(server)
    sockets.id_for(BOB, "browser")
    told: dict[str, Any] = {"pairing_secret": "paired", "sockets": sockets, "passes_when_away": passes}
    gate = PromptGate(server, execution, sidecar, journal, **told)  # type: ignore[arg-type] # all that is used of it
    with calling(caller):
        async with TestClient(TestServer(app_of(gate))) as page:
            answer = await page.post("/prompt", json=BODY, headers={"X-Forwarded-For": "192.0.2.7"})
            return answer.status, await answer.json()


async def test_a_prompt_is_handed_over_as_its_owners(journal: OutcomeJournal, queue: Queue) -> None:
    """With a client id that is theirs, whoever else has the one that was named; the held one is theirs, too."""
    sidecar = TakingSidecar()
    for caller in (BOB, ADA):
        assert (await post_as(caller, journal, sidecar, queue))[0] == 200
    of_bob, of_ada = sidecar.submissions

    assert (of_bob["owner_id"], of_ada["owner_id"]) == (id_of("bob"), id_of("ada"))
    assert of_bob["client_id"] == "browser"
    assert of_ada["client_id"] not in {"browser", "hidden"}
    assert of_ada["extra_data"] == {"kept": 1}
    assert [prompt.owner_id for prompt in queue.genonaut.held.now()] == [id_of("bob"), id_of("ada")]


async def test_a_prompt_is_handed_over_with_where_it_came_from(journal: OutcomeJournal, queue: Queue) -> None:
    """Who spoke to ComfyUI, and for whom that one says to speak; whether it is believed, the sidecar knows."""
    sidecar = TakingSidecar()
    await post_as(LOCAL_OWNER, journal, sidecar, queue)

    assert (sidecar.submissions[0]["address"], sidecar.forwarded_for) == ("127.0.0.1", "192.0.2.7")


async def test_in_open_access_nothing_is_said_of_owners(journal: OutcomeJournal, queue: Queue) -> None:
    """And nothing is rewritten."""
    sidecar = TakingSidecar()
    await post_as(LOCAL_OWNER, journal, sidecar, queue)

    assert "owner_id" not in sidecar.submissions[0]
    assert (sidecar.submissions[0]["client_id"], sidecar.submissions[0]["extra_data"]) == (
        "browser",
        BODY["extra_data"],
    )
    assert queue.genonaut.held.now()[0].owner_id is None


@pytest.mark.parametrize(
    ("caller", "passes", "status"), [(ADA, False, 503), (ADA, True, 200), (LOCAL_OWNER, False, 200)]
)
async def test_while_the_sidecar_is_away_prompts_of_people_wait_or_run_as_theirs(
    journal: OutcomeJournal, caller: Caller, *, passes: bool, status: int
) -> None:
    """By setting; in open access they always run."""
    queue = KeepingQueue()
    found, told = await post_as(caller, journal, TakingSidecar(is_away=True), queue, passes=passes)

    assert found == status
    if status == 200:
        assert [item[3]["genonaut"]["owner_id"] for item in queue.items] == [caller.user_id]
    else:
        assert told["error"]["type"] == "sidecar_away"
        assert queue.items == []
