"""The engine's memory of repositories: a real index, a real engine process, a small real model."""

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pytest

from vicinal_daemon.daemon import Daemon
from vicinal_daemon.desk import memories
from vicinal_daemon.desk.memories import Memories
from vicinal_daemon.protocol.requests import CompleteRequest
from vicinal_daemon.workspaces import Workspace

pytestmark = pytest.mark.slow  # real daemons

SEALED = "shop.sealed_receipt(order)"
SEAL = f"def sealing(order):\n    return {SEALED}\n"
LEFT = "def opening(order):\n    return shop.sealed_rec"
REST = "eipt(order)"
ENABLED = "[memory]\nenabled = true\n"
SECRET = 'AWS_KEY = "AKIAZ7QXW2R5T9LMBN4C"\n'


@pytest.fixture
def shop(shop: Path) -> Path:
    """With a memory, which the daemon of this folder's tests has not by itself."""
    (shop / ".vicinal.toml").write_text(ENABLED)
    return shop


async def remembered(daemon: Daemon, root: Path, room: Literal["made", "as it is"] = "made") -> Workspace:
    """Open a repository and wait until all of it is indexed, and remembered."""
    workspace = daemon.workspaces.open(root)
    await daemon.accelerator.ready()
    if room == "made":
        daemon.memories.use(workspace)
    await settled(daemon, workspace)
    return workspace


async def settled(daemon: Daemon, workspace: Workspace) -> None:
    await asyncio.to_thread(workspace.index, 60)
    await asyncio.to_thread(workspace.sync)  # whether or not the system has signalled the change yet
    assert await asyncio.to_thread(workspace.settle, 60)
    await daemon.memories.settled()


async def said(daemon: Daemon, root: Path, **more: object) -> str:
    rows = LEFT.split("\n")
    place = {"workspace": str(root), "path": "new.py", "text": LEFT, "line": len(rows), "column": len(rows[-1]) + 1}
    wanted = {"wait_for_index": True, "settings": {"tune.steps": 0, "prompt.picks": 0, "generate.max_tokens": 40}}
    answer = await daemon.desk.complete(CompleteRequest.model_validate(place | wanted | more))
    return answer.completion.text


def test_a_completion_says_what_stands_elsewhere_in_the_repository(shop: Path, stage: Any) -> None:
    async def play(daemon: Daemon) -> None:
        (shop / "sealing.py").write_text(SEAL)
        workspace = await remembered(daemon, shop)
        assert daemon.memories.tokens(workspace) > 100
        state = next(state for state in daemon.state().workspaces if state.root == str(shop))
        assert state.remembered == daemon.memories.tokens(workspace)
        assert b"vicinal_remembered" in daemon.metrics_text()
        assert await said(daemon, shop) == REST

    stage.play(play)


def test_the_base_that_is_compared_with_knows_nothing_of_it(shop: Path, stage: Any) -> None:
    async def play(daemon: Daemon) -> None:
        (shop / "sealing.py").write_text(SEAL)
        await remembered(daemon, shop)
        rows = LEFT.split("\n")
        answer = await daemon.desk.complete(
            CompleteRequest(
                workspace=str(shop), path="new.py", text=LEFT, line=len(rows), column=len(rows[-1]) + 1, compare=True
            )
        )
        assert answer.base is not None
        assert REST not in answer.base.text

    stage.play(play)


def test_what_changes_is_remembered_and_what_goes_is_forgotten(shop: Path, stage: Any) -> None:
    async def play(daemon: Daemon) -> None:
        (shop / "sealing.py").write_text(SEAL)
        workspace = await remembered(daemon, shop)
        before = daemon.memories.tokens(workspace)
        (shop / "sealing.py").write_text(SEAL.replace("order)\n", "changed)\n"))
        await settled(daemon, workspace)
        assert "eipt(changed)" in await said(daemon, shop)
        (shop / "sealing.py").unlink()
        await settled(daemon, workspace)
        assert "changed" not in await said(daemon, shop)
        assert 0 < daemon.memories.tokens(workspace) < before

    stage.play(play)


@pytest.mark.parametrize("how", ["ignored", "a secret"])
def test_what_must_not_be_read_leaves_the_memory(shop: Path, stage: Any, how: str) -> None:
    async def play(daemon: Daemon) -> None:
        workspace = await remembered(daemon, shop)
        without = daemon.memories.tokens(workspace)
        (shop / "sealing.py").write_text(SEAL)
        await settled(daemon, workspace)
        assert daemon.memories.tokens(workspace) > without
        if how == "ignored":
            (shop / ".vicinalignore").write_text("sealing.py\n.vicinalignore\n")
        else:
            (shop / "sealing.py").write_text(SEAL + SECRET)
        await settled(daemon, workspace)
        assert daemon.memories.tokens(workspace) == without

    stage.play(play)


def test_only_what_changed_travels(shop: Path, stage: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async def play(daemon: Daemon) -> None:
        workspace = await remembered(daemon, shop)
        sent: list[str] = []
        do = daemon.accelerator.do

        async def watched(unit: Any, *args: Any, **more: Any) -> Any:
            sent.extend(path for path, _ in getattr(unit, "replaced", ()))
            return await do(unit, *args, **more)

        monkeypatch.setattr(daemon.accelerator, "do", watched)
        (shop / "refund.py").write_text("x = 1\n")
        await settled(daemon, workspace)
        daemon.memories.wake()
        await daemon.memories.settled()
        assert sent == ["refund.py"]

    stage.play(play)


def test_no_more_is_sent_than_there_is_room_for(shop: Path, stage: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async def play(daemon: Daemon) -> None:
        workspace = await remembered(daemon, shop)
        whole = daemon.memories.tokens(workspace)
        (shop / "aaa.py").write_text("x = 1\n" * 200)
        (shop / "payment.py").write_text("x = 2\n" * 200)
        monkeypatch.setattr(memories, "MOST_CHARACTERS", 3000)
        await settled(daemon, workspace)
        assert 0 < daemon.memories.tokens(workspace) < whole

    stage.play(play)


def test_an_engine_that_died_is_told_anew_slice_by_slice(
    shop: Path, stage: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def play(daemon: Daemon) -> None:
        (shop / "sealing.py").write_text(SEAL)
        workspace = await remembered(daemon, shop)
        whole, pid = daemon.memories.tokens(workspace), daemon.accelerator.state().pid
        assert pid is not None
        slices: list[int] = []
        do = daemon.accelerator.do

        async def watched(unit: Any, *args: Any, **more: Any) -> Any:
            slices.append(len(getattr(unit, "replaced", ())))
            return await do(unit, *args, **more)

        monkeypatch.setattr(daemon.accelerator, "do", watched)
        os.kill(pid, signal.SIGKILL)
        while daemon.accelerator.is_ready:
            await asyncio.sleep(0)
        await daemon.accelerator.ready()
        await daemon.memories.settled()
        assert daemon.memories.tokens(workspace) == whole
        assert len(slices) > 1
        assert await said(daemon, shop) == REST

    monkeypatch.setattr(memories, "SLICE_CHARACTERS", 1000)
    stage.play(play)


def test_a_repository_that_is_closed_is_forgotten(shop: Path, stage: Any) -> None:
    async def play(daemon: Daemon) -> None:
        workspace = await remembered(daemon, shop)
        await asyncio.to_thread(daemon.workspaces.remove, shop)
        daemon.memories.tend()
        await daemon.memories.settled()
        assert daemon.memories.tokens(workspace) == 0

    stage.play(play)


def test_nobody_is_pushed_out_by_a_repository_that_nobody_completes_in(
    tmp_path: Path, new_shop: Callable[..., Path], stage: Any
) -> None:
    async def play(daemon: Daemon) -> None:
        for workspace in daemon.workspaces.all():
            await asyncio.to_thread(daemon.workspaces.remove, workspace.root)
        roots = [new_shop(tmp_path / name) for name in "abcde"]
        for root in roots:
            (root / ".vicinal.toml").write_text(ENABLED)
        *first, last = [await remembered(daemon, root, "as it is") for root in roots]
        assert all(daemon.memories.tokens(workspace) for workspace in first)
        assert not daemon.memories.tokens(last)
        await said(daemon, roots[-1])
        await daemon.memories.settled()
        assert daemon.memories.tokens(last)
        assert sum(not daemon.memories.tokens(workspace) for workspace in first) == 1

    stage.play(play)


def test_a_repository_can_have_no_memory(shop: Path, stage: Any) -> None:
    async def play(daemon: Daemon) -> None:
        (shop / "sealing.py").write_text(SEAL)
        workspace = await remembered(daemon, shop)
        assert daemon.memories.tokens(workspace)
        assert REST not in await said(daemon, shop, settings={"memory.enabled": False, "tune.steps": 0})
        (shop / ".vicinal.toml").write_text(ENABLED.replace("true", "false"))
        (shop / "refund.py").write_text("x = 1\n")
        await settled(daemon, workspace)
        assert not daemon.memories.tokens(workspace)

    stage.play(play)


def test_without_an_engine_nothing_is_sent_and_nothing_waits(shop: Path, with_daemon: Callable[..., None]) -> None:
    async def play(daemon: Daemon) -> None:
        alone = Memories(daemon.disk, daemon.workspaces, daemon.accelerator, 1)
        task = asyncio.ensure_future(alone.run())
        workspace = daemon.workspaces.open(shop)
        assert await asyncio.to_thread(workspace.settle, 60)
        alone.wake()
        await alone.settled()
        assert alone.tokens(workspace) == 0
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    with_daemon(play, model__name="no-such-model")
