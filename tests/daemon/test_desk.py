"""The desk, with a real index, a real engine process and a small real model."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from vicinal_daemon.daemon import Daemon
from vicinal_daemon.desk import document_of
from vicinal_daemon.errors import EngineCrashed, Superseded, Withdrawn
from vicinal_daemon.protocol import Answer
from vicinal_daemon.protocol.requests import CompleteRequest, HintRequest
from vicinal_daemon.protocol.state import Event
from vicinal_daemon.uncertainty.feedback import Outcome
from vicinal_indexer.errors import InputError

pytestmark = pytest.mark.slow  # an engine process for many of them

LINE = 10


def request(shop: Path, line: int = LINE, **more: object) -> CompleteRequest:
    values: dict[str, object] = {"workspace": str(shop), "path": "payment.py", "line": line, "wait_for_index": True}
    return CompleteRequest.model_validate(values | {"replace_lines": 1} | more)


def typed(shop: Path, text: str, **more: object) -> CompleteRequest:
    """The cursor at the end of a buffer that was never saved."""
    rows = text.split("\n")
    place = {"path": "voucher.py", "text": text, "column": len(rows[-1]) + 1, "replace_lines": 0}
    return request(shop, len(rows), **(place | more))


async def finished(daemon: Daemon) -> None:
    """Everything that goes on behind the answers is done."""
    while daemon.desk.studies.tasks() or daemon.desk.ahead.tasks:
        await asyncio.gather(*daemon.desk.studies.tasks(), *daemon.desk.ahead.tasks, return_exceptions=True)


def text_of(shop: Path) -> str:
    return "\n".join((shop / "payment.py").read_text().replace("payment", "voucher").split("\n")[:LINE]) + "\n"


def test_without_a_budget_it_tunes_first_and_the_same_selection_is_cached(shop: Path, stage: Any) -> None:
    async def play(daemon: Daemon) -> None:
        first = await daemon.desk.complete(request(shop))
        again = await daemon.desk.complete(request(shop, client="another editor"))
        assert (first.adaptation.kind, first.adaptation.steps, first.adaptation.behind) == ("fresh", 3, False)
        assert again.adaptation.kind == "cached"
        assert again.adaptation.nearness == 1.0
        assert again.completion.text == first.completion.text
        # The engine knows most of the prompt already, and the order of the arithmetic is another one.
        assert again.confidence.value == pytest.approx(first.confidence.value, abs=1e-4)
        assert [piece.path for piece in again.evidence] == [piece.path for piece in first.evidence]
        assert again.adaptation.losses == first.adaptation.losses

    stage.play(play)


def test_what_the_guard_dropped_is_not_studied_again(shop: Path, stage: Any) -> None:
    async def play(daemon: Daemon) -> None:
        for editor in ("one", "another"):
            answer = await daemon.desk.complete(request(shop, client=editor))
            assert (answer.adaptation.kind, answer.adaptation.steps, answer.adaptation.scale) == ("base", 3, 0.0)
            assert answer.adaptation.guard is not None
        assert "tune" not in answer.seconds
        assert daemon.store.paths(str(shop)) == frozenset()

    # So slow that nothing is learned: nothing is better than the base by more than rounding.
    (shop / ".vicinal.toml").write_text("[tune]\nguard = true\nlearning_rate = 1e-6\n")
    stage.play(play)


def test_a_short_budget_is_answered_with_what_is_there_and_tuned_behind(shop: Path, stage: Any) -> None:
    async def play(daemon: Daemon) -> None:
        at_once = await daemon.desk.complete(request(shop, budget_ms=1))
        assert at_once.adaptation.kind == "base"
        assert at_once.adaptation.behind
        await finished(daemon)
        later = await daemon.desk.complete(request(shop, budget_ms=1))
        assert later.adaptation.kind == "cached"
        assert later.adaptation.steps == 3
        assert not later.adaptation.behind

    stage.play(play)


def test_part_of_the_steps_serve_and_the_rest_is_taken_behind(shop: Path, stage: Any) -> None:
    async def play(daemon: Daemon) -> None:
        await daemon.desk.complete(request(shop, line=12))
        # As if a step took two seconds and everything else nothing: one step fits.
        daemon.accelerator.costs = type(daemon.accelerator.costs)(1e-6, 1e-6, 2.0, 1e-6)
        other = {"seed": 7}  # the same selection, another adapter
        part = await daemon.desk.complete(request(shop, settings=other, budget_ms=3500))
        assert (part.adaptation.kind, part.adaptation.steps, part.adaptation.behind) == ("fresh", 1, True)
        await finished(daemon)
        whole = await daemon.desk.complete(request(shop, settings=other))
        assert (whole.adaptation.kind, whole.adaptation.steps) == ("cached", 3)

    (shop / ".vicinal.toml").write_text("[adapters]\nnear = 1.0\n")
    stage.play(play)


def test_what_was_typed_ahead_is_answered_from_the_last_answer(shop: Path, stage: Any) -> None:
    async def play(daemon: Daemon) -> None:
        text = text_of(shop)
        first = await daemon.desk.complete(typed(shop, text))
        said = first.completion.text
        assert said
        rest = await daemon.desk.complete(typed(shop, text + said[:2]))
        assert rest.typed_ahead
        assert rest.completion.text == said[2:]
        assert rest.id != first.id
        other = await daemon.desk.complete(typed(shop, text + "zz"))
        assert not other.typed_ahead
        elsewhere = await daemon.desk.complete(typed(shop, text + said[:2], client="another editor"))
        assert not elsewhere.typed_ahead

    stage.play(play)


def test_alternatives_are_other_texts_and_stay_as_long_as_they_are_typed(shop: Path, stage: Any) -> None:
    async def play(daemon: Daemon) -> None:
        text = text_of(shop)
        first = await daemon.desk.complete(typed(shop, text, alternatives=3, compare=True))
        said, others = first.completion.text, [other.text for other in first.alternatives]
        assert others
        assert len({said, *others}) == len(others) + 1
        assert all(other.strip() for other in others)
        rest = await daemon.desk.complete(typed(shop, text + said[:1], alternatives=3))
        assert rest.typed_ahead
        assert [other.text for other in rest.alternatives] == [o[1:] for o in others if o[0] == said[0] and o[1:]]
        assert not (await daemon.desk.complete(typed(shop, text + said[:1]))).alternatives
        more = await daemon.desk.complete(typed(shop, text + said[:1], alternatives=4))
        assert not more.typed_ahead  # it wants more than were written

    stage.play(play)


def test_where_feedback_is_off_nothing_is_noted(shop: Path, with_daemon: Any) -> None:
    async def play(daemon: Daemon) -> None:
        answer = await daemon.desk.complete(request(shop, alone=True, workspace=None, text="x = ", column=5, line=1))
        assert not await daemon.notes.record(answer.id, Outcome("accepted"))
        told = await daemon.notes.recorded()
        assert (told.enabled, told.answers, told.events) == (False, 0, {})

    with_daemon(play, feedback__enabled=False)


def test_the_same_request_again_costs_nothing_unless_something_better_is_to_be_had(shop: Path, stage: Any) -> None:
    async def play(daemon: Daemon) -> None:
        first = await daemon.desk.complete(request(shop))
        again = await daemon.desk.complete(request(shop))
        assert again.typed_ahead
        assert again.completion.text == first.completion.text
        (shop / "payment.py").write_text((shop / "payment.py").read_text() + "\n\nTAIL = 1\n")
        assert not (await daemon.desk.complete(request(shop))).typed_ahead
        hurried = await daemon.desk.complete(request(shop, settings={"seed": 3}, budget_ms=1))
        assert hurried.adaptation.behind
        assert not (await daemon.desk.complete(request(shop, settings={"seed": 3}, budget_ms=1))).typed_ahead

    stage.play(play)


def test_a_newer_request_for_a_document_takes_the_place_of_the_older(shop: Path, stage: Any) -> None:
    async def play(daemon: Daemon) -> None:
        await daemon.desk.complete(request(shop))
        older = asyncio.ensure_future(daemon.desk.complete(request(shop, line=11)))
        await asyncio.sleep(0)
        newer = await daemon.desk.complete(request(shop, line=12))
        with pytest.raises(Superseded):
            await older
        assert newer.line == 12

    stage.play(play)


def test_the_latest_request_of_each_document_is_always_answered(shop: Path, stage: Any) -> None:
    async def play(daemon: Daemon) -> None:
        async def type_along(client: int) -> list[Answer | BaseException]:
            asked = []
            for line in range(1, 11):
                ask = request(shop, line=line, client=f"editor {client}", budget_ms=1)
                asked.append(asyncio.ensure_future(daemon.desk.complete(ask)))
                await asyncio.sleep(0)
            return await asyncio.gather(*asked, return_exceptions=True)

        for answers in await asyncio.gather(*(type_along(client) for client in range(20))):
            assert isinstance(answers[-1], Answer)
            assert all(isinstance(answer, Answer | Superseded) for answer in answers)
        assert len(daemon.desk.requests) == 0

    (shop / ".vicinal.toml").write_text("[tune]\nsteps = 0\n[generate]\nmax_tokens = 2\n")
    stage.play(play)


def test_cancelling_by_document_ends_what_is_done_for_it(shop: Path, stage: Any) -> None:
    async def play(daemon: Daemon) -> None:
        await finished(daemon)  # of scenes before
        await daemon.desk.complete(request(shop))
        with daemon.events.listening():
            going = asyncio.ensure_future(daemon.desk.complete(request(shop, line=12), lambda *stage: begun.set()))
            begun = asyncio.Event()
            await begun.wait()
        assert daemon.desk.cancel("", document_of(request(shop, line=1))) == 1
        with pytest.raises(Withdrawn):
            await going
        assert daemon.desk.studies.tasks() == []

    (shop / ".vicinal.toml").write_text("[tune]\nsteps = 50\n")
    stage.play(play)


def test_an_adapter_expires_with_the_code_that_it_rests_on(shop: Path, stage: Any) -> None:
    async def play(daemon: Daemon) -> None:
        first = await daemon.desk.complete(request(shop))
        rests_on = first.evidence[0].path
        file = shop / rests_on
        file.write_text(file.read_text().replace("total_in_cents", "total_in_euros"))
        workspace = daemon.workspaces.open(shop)
        await asyncio.to_thread(workspace.sync)
        assert rests_on not in daemon.store.paths(str(shop))
        again = await daemon.desk.complete(request(shop))
        assert again.adaptation.kind == "fresh"

    stage.play(play)


def test_adapters_survive_a_restart(shop: Path, stage: Any) -> None:
    answers: list[Answer] = []

    async def play(daemon: Daemon) -> None:
        answers.append(await daemon.desk.complete(request(shop)))

    stage.play(play)
    stage.restart()
    stage.play(play)
    assert [answer.adaptation.kind for answer in answers] == ["fresh", "cached"]
    assert answers[0].completion.text == answers[1].completion.text
    assert answers[0].completion.mean_log_probability == answers[1].completion.mean_log_probability


def test_a_hint_has_the_adapter_ready_before_it_is_asked_for(shop: Path, stage: Any) -> None:
    async def play(daemon: Daemon) -> None:
        await asyncio.to_thread(daemon.workspaces.open(shop).wait_ready, 60)
        text = text_of(shop)
        rows = text.split("\n")
        hint = HintRequest(workspace=str(shop), path="voucher.py", text=text, line=len(rows), column=1)
        assert await daemon.desk.hint(hint) == "studying"
        await finished(daemon)
        assert await daemon.desk.hint(hint) == "ready"
        answer = await daemon.desk.complete(typed(shop, text, budget_ms=1))
        assert answer.adaptation.kind == "cached"

    stage.play(play)


def test_a_model_that_nobody_uses_is_unloaded_and_comes_back(shop: Path, stage: Any) -> None:
    async def play(daemon: Daemon) -> None:
        first = await daemon.desk.complete(request(shop))
        with daemon.events.listening() as events:
            await daemon.accelerator.unload_if_idle(1e-6)
            assert daemon.accelerator.state().state == "unloaded"
            assert daemon.accelerator.state().pid is None
            again = await daemon.desk.complete(request(shop, client="another editor"))
            states = [event.stage async for event in _until(events, "ready") if event.name == "model"]
        assert states[-1] == "ready"
        assert again.completion.text == first.completion.text

    stage.play(play)


async def _until(events: AsyncIterator[Event], last: str) -> AsyncIterator[Event]:
    async for event in events:
        yield event
        if event.name == "model" and event.stage == last:
            return


def test_an_engine_that_dies_costs_one_request(shop: Path, stage: Any) -> None:
    async def play(daemon: Daemon) -> None:
        await daemon.desk.complete(request(shop, settings={"tune.steps": 0}))
        before = daemon.accelerator.state()
        stages: list[str] = []

        def kill_once(stage: str, done: int, total: int) -> None:
            stages.append(stage)
            if stage == "tune" and done == 1:
                assert daemon.accelerator.state().pid == before.pid
                os.kill(before.pid or 0, signal.SIGKILL)

        with pytest.raises(EngineCrashed):
            await daemon.desk.complete(request(shop, line=12), kill_once)
        answer = await daemon.desk.complete(request(shop, line=12))
        assert answer.adaptation.steps == 3
        after = daemon.accelerator.state()
        assert after.pid != before.pid
        assert after.restarts == before.restarts + 1
        assert daemon.workspaces.open(shop).state().state == "ready"

    (shop / ".vicinal.toml").write_text("[tune]\nsteps = 3\n")
    stage.play(play)


def test_a_repository_that_disappears_is_a_typed_error(shop: Path, stage: Any) -> None:
    async def play(daemon: Daemon) -> None:
        await daemon.desk.complete(request(shop))
        shop.rename(shop.with_name("elsewhere"))
        with pytest.raises(InputError):
            await daemon.desk.complete(request(shop))

    (shop / ".vicinal.toml").write_text("[tune]\nsteps = 0\n")
    stage.play(play)


def test_a_request_sets_what_a_repository_may_and_nothing_else(shop: Path, stage: Any) -> None:
    async def play(daemon: Daemon) -> None:
        answer = await daemon.desk.complete(request(shop, settings={"tune.steps": 1}))
        assert answer.adaptation.steps == 1
        with pytest.raises(InputError, match=r"model\.name"):
            await daemon.desk.complete(request(shop, settings={"model.name": "/evil"}))

    stage.play(play)


def test_what_did_not_fit_the_prompt_is_read_behind_and_serves_the_next_key(shop: Path, stage: Any) -> None:
    async def play(daemon: Daemon) -> None:
        text, settings = text_of(shop), {"tune.steps": 0}
        await daemon.desk.complete(request(shop, settings=settings))
        daemon.accelerator.costs = type(daemon.accelerator.costs)(read=0.05, write=1e-6)
        hurried = await daemon.desk.complete(typed(shop, text, client="hand", settings=settings, budget_ms=1000))
        assert not any(piece.in_prompt for piece in hurried.evidence)
        await finished(daemon)
        next_key = await daemon.desk.complete(typed(shop, text + "x", client="hand", settings=settings, budget_ms=1000))
        assert any(piece.in_prompt for piece in next_key.evidence)

    stage.play(play)


def test_what_is_studied_near_by_serves_until_its_own_is_ready(shop: Path, stage: Any) -> None:
    async def play(daemon: Daemon) -> None:
        await daemon.desk.complete(request(shop))
        near = await daemon.desk.complete(request(shop, line=11, settings={"tune.steps": 2}, budget_ms=1))
        assert near.adaptation.kind == "cached"
        assert 0.3 <= near.adaptation.nearness < 1.0
        assert near.adaptation.behind

    (shop / ".vicinal.toml").write_text("[adapters]\nnear = 0.3\n")
    stage.play(play)
