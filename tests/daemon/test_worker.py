"""The engine process and its supervisor: real processes, killed, stopped, starved and fed garbage."""

import asyncio
import io
import itertools
import os
import pickle
import signal
import struct
import subprocess
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import psutil
import pytest

from vicinal_daemon.errors import (
    EngineCrashed,
    EngineFailed,
    EngineHung,
    EngineOutOfMemory,
    ModelDamaged,
    ModelUnusable,
    Withdrawn,
    error_type,
)
from vicinal_daemon.target import Target
from vicinal_daemon.worker import frames
from vicinal_daemon.worker.messages import (
    Begin,
    Begun,
    Chat,
    Code,
    Done,
    Drop,
    Envelope,
    Failed,
    Judge,
    Judged,
    Load,
    Loaded,
    PromptShape,
    Step,
    Stepped,
    Wear,
    Write,
    Written,
)  # fmt: skip
from vicinal_daemon.worker.process import EngineProcess, _obituary
from vicinal_daemon.worker.supervisor import Supervisor, pause_seconds

T = TypeVar("T")
LEFT = "def total(items):\n    return sum(items)\n\n\ndef mean(items):\n"
PROMPT = PromptShape(Target("app.py", LEFT, "", "", 5, 1, 2), (), 200, 50)
EXAMPLES = tuple(Code(f"{n}.py", "python", f"def f_{n}(items):\n    return sum(items) + {n}\n") for n in range(4))
WRITE = Write(PROMPT, None, 2, 12)
PLENTY = 8 * 2**30
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="signals")


@dataclass
class Engine:
    """A supervisor, and a loop that it lives on between the tests."""

    supervisor: Supervisor
    runner: asyncio.Runner
    states: list[str] = field(default_factory=list)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        async def bounded() -> T:
            async with asyncio.timeout(60):
                return await work

        return self.runner.run(bounded())

    def write(self) -> Written:
        result = self.run(self.supervisor.do(WRITE))
        assert isinstance(result, Written)
        return result


Make = Callable[..., Engine]


def load_of(folder: Path) -> Load:
    return Load(folder, None, "tiny", "transformers", "cpu", 0.33)


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(scope="module")
def make(runner: asyncio.Runner) -> Iterator[Make]:
    made: list[Engine] = []

    def make(folder: Path, *, memory: int = PLENTY, hang: float = 30.0, log: Path | None = None) -> Engine:
        supervisor = Supervisor(
            load_of(folder),
            memory_limit_bytes=memory,
            hang_seconds=hang,
            log=log,
            on_change=lambda: engine.states.append(supervisor.state),
        )
        engine = Engine(supervisor, runner)
        made.append(engine)
        return engine

    yield make
    for engine in made:
        engine.run(engine.supervisor.close())


@pytest.fixture(scope="module")
def engine(make: Make, tiny_model_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Engine:
    """One engine for the tests that do not need another; some of them kill it, and the next one finds it again."""
    return make(tiny_model_dir, log=tmp_path_factory.mktemp("log") / "deep" / "engine.log")


def gone(pid: int) -> bool:
    try:
        psutil.Process(pid).wait(timeout=20)
    except psutil.NoSuchProcess:
        return True
    except psutil.TimeoutExpired:
        return False
    return True


def test_a_unit_starts_the_process_and_gets_its_answer(engine: Engine) -> None:
    supervisor = engine.supervisor
    assert (supervisor.state, supervisor.pid, supervisor.generation) == ("unloaded", None, 0)
    first, again = engine.write(), engine.write()
    assert first.text == again.text
    assert (first.read_tokens, again.read_tokens) == (first.prompt_tokens, 1)
    assert engine.states == ["loading", "ready"]
    assert (supervisor.generation, supervisor.restarts, supervisor.problem) == (1, 0, None)
    assert (supervisor.device, supervisor.engine) == ("cpu", "transformers")
    assert supervisor.memory_bytes > 0


def test_a_run_goes_through_the_pipes_with_writes_in_between(engine: Engine, tmp_path: Path) -> None:
    async def work() -> tuple[list[Stepped], Judged, Written]:
        do = engine.supervisor.do
        assert await do(Begin("run", EXAMPLES, 4, 5e-3, 64, 0)) == Begun(4)
        steps = []
        for _ in EXAMPLES:
            step = await do(Step("run"))
            assert isinstance(step, Stepped)
            steps.append(step)
            await do(WRITE)
        judged = await do(Judge("run", "key", PROMPT, file=tmp_path / "adapter", metadata=(("why", "test"),)))
        assert isinstance(judged, Judged)
        await do(Drop("run"))
        worn = await do(Write(PROMPT, Wear("key", None), 2, 12))
        assert isinstance(worn, Written)
        return steps, judged, worn

    steps, judged, worn = engine.run(work())
    assert [step.done for step in steps] == [1, 2, 3, 4]
    assert judged.scale > 0
    assert judged.bytes == (tmp_path / "adapter").stat().st_size
    assert worn.read_tokens == 1  # the base has read it: what its trunk made of it is lent
    assert b'"why":"test"' in (tmp_path / "adapter").read_bytes()


def test_a_unit_that_fails_costs_itself_alone(engine: Engine) -> None:
    pid = engine.supervisor.pid
    with pytest.raises(ModelUnusable, match="no tuning run") as caught:
        engine.run(engine.supervisor.do(Step("none")))
    assert caught.value.hint
    engine.run(engine.supervisor.do(Begin("odd", EXAMPLES, 4, 5e-3, 64, seed="no number")))  # type: ignore[arg-type]
    with pytest.raises(EngineFailed, match="Step failed: ValueError"):
        engine.run(engine.supervisor.do(Step("odd")))
    assert engine.write().text
    assert (engine.supervisor.pid, engine.supervisor.state) == (pid, "ready")


def test_text_streams_and_a_cancelled_write_keeps_what_it_has(engine: Engine) -> None:
    pieces: list[str] = []
    cancelled = asyncio.Event()

    def on_piece(text: str) -> None:
        pieces.append(text)
        if len(pieces) == 3:
            cancelled.set()

    unit = Chat("Answer.", "Why?" * 50, 2000)
    whole = engine.run(engine.supervisor.do(Write(PROMPT, None, 2, 12, streams=True), on_piece=on_piece))
    assert isinstance(whole, Written)
    assert pieces
    assert all(later.startswith(piece) for piece, later in itertools.pairwise(pieces))
    cancelled.clear()

    async def soon_cancelled() -> Written:
        doing = asyncio.create_task(engine.supervisor.do(unit, cancelled=cancelled))
        await asyncio.sleep(0)
        cancelled.set()
        result = await doing
        assert isinstance(result, Written)
        return result

    cut = engine.run(soon_cancelled())
    assert not cut.finished
    assert cut.tokens < 2000


@POSIX
def test_a_cancellation_that_comes_before_its_unit_begins_counts(engine: Engine) -> None:
    async def work(unit: Write | Step) -> object:
        pid = engine.supervisor.pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)  # so that both frames lie in the pipe before either is read
        cancelled = asyncio.Event()
        cancelled.set()
        doing = asyncio.create_task(engine.supervisor.do(unit, cancelled=cancelled))
        while not engine.supervisor._process._number:  # type: ignore[union-attr]
            await asyncio.sleep(0)
        for _ in range(5):
            await asyncio.sleep(0)
        os.kill(pid, signal.SIGCONT)
        return await doing

    engine.write()
    engine.run(engine.supervisor.do(Begin("run", EXAMPLES, 4, 5e-3, 64, 0)))
    written = engine.run(work(Write(PROMPT, None, 0, 500)))
    assert isinstance(written, Written)
    assert written.tokens < 500
    assert not written.finished


def test_one_unit_at_a_time(engine: Engine) -> None:
    async def two() -> None:
        first = asyncio.create_task(engine.supervisor.do(WRITE))
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="one unit at a time"):
            await engine.supervisor.do(WRITE)
        await first

    engine.run(two())


def test_whoever_asks_may_vanish_and_the_next_is_answered(engine: Engine) -> None:
    async def work() -> object:
        vanishing = asyncio.create_task(engine.supervisor.do(Write(PROMPT, None, 0, 500)))
        await asyncio.sleep(0.01)  # not waited for: whichever moment this is, the next one is answered
        vanishing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await vanishing
        return await engine.supervisor.do(WRITE)

    assert isinstance(engine.run(work()), Written)


@POSIX
def test_ctrl_c_is_the_parents(engine: Engine) -> None:
    engine.write()
    pid = engine.supervisor.pid
    assert pid is not None
    os.kill(pid, signal.SIGINT)
    engine.write()
    assert engine.supervisor.pid == pid


async def failed(supervisor: Supervisor) -> None:
    while supervisor.state != "failed":
        await asyncio.sleep(0.01)  # bounded by `Engine.run`


@POSIX
def test_killed_while_idle_is_noticed_and_the_next_unit_finds_a_new_one(engine: Engine) -> None:
    before = engine.write()
    old = engine.supervisor.pid
    assert old is not None
    os.kill(old, signal.SIGKILL)
    engine.run(failed(engine.supervisor))
    assert engine.supervisor.pid is None
    assert isinstance(engine.supervisor.problem, EngineCrashed)
    after = engine.write()
    assert (after.text, after.read_tokens) == (before.text, before.prompt_tokens)
    assert engine.supervisor.pid != old
    assert (engine.supervisor.generation, engine.supervisor.restarts) == (2, 1)
    assert engine.supervisor.problem is None


@POSIX
def test_killed_in_the_middle_costs_one_unit(engine: Engine) -> None:
    async def work() -> None:
        pid = engine.supervisor.pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)  # the unit is at work for as long as the test likes
        doing = asyncio.create_task(engine.supervisor.do(WRITE))
        await asyncio.sleep(0)
        os.kill(pid, signal.SIGKILL)
        await doing

    with pytest.raises(EngineCrashed, match="SIGKILL"):
        engine.run(work())
    assert (engine.supervisor.state, engine.supervisor.pid) == ("failed", None)
    assert isinstance(engine.supervisor.problem, EngineCrashed)


def test_a_start_goes_on_though_its_request_is_withdrawn(engine: Engine) -> None:
    async def withdrawn_while_loading() -> None:
        cancelled = asyncio.Event()
        doing = asyncio.create_task(engine.supervisor.do(WRITE, cancelled=cancelled))
        while engine.supervisor.state != "loading":
            await asyncio.sleep(0)
        cancelled.set()
        await doing

    with pytest.raises(Withdrawn):
        engine.run(withdrawn_while_loading())
    assert engine.supervisor.state == "loading"
    generation = engine.supervisor.generation
    assert engine.write().text
    assert engine.supervisor.generation in (generation, generation + 1)  # + 1: it had waited for its pause


def test_unloading_ends_the_process_in_order(engine: Engine) -> None:
    engine.write()
    pid = engine.supervisor.pid
    assert pid is not None
    engine.run(engine.supervisor.unload())
    assert gone(pid)
    assert (engine.supervisor.state, engine.supervisor.pid, engine.supervisor.memory_bytes) == ("unloaded", None, 0)
    assert engine.supervisor.problem is None


@POSIX
def test_a_process_that_gives_no_sign_of_life_is_ended(engine: Engine) -> None:
    async def work() -> int:
        process = await EngineProcess.start(memory_limit_bytes=PLENTY, hang_seconds=0.3, log=None)
        os.kill(process.pid, signal.SIGSTOP)
        with pytest.raises(EngineHung, match=r"0\.3 s"):
            await process.ask(Drop("none"), cancelled=None, on_piece=None)
        assert isinstance(await process.ended(), EngineHung)
        return process.pid

    assert gone(engine.run(work()))


def test_too_much_memory_ends_it(make: Make, tiny_model_dir: Path) -> None:
    engine = make(tiny_model_dir, memory=2**20)
    for _ in range(2):
        with pytest.raises(EngineOutOfMemory, match="1 MB are allowed"):
            engine.run(engine.supervisor.do(WRITE))
    assert engine.supervisor.state == "failed"
    assert engine.supervisor.restarts == 1


def test_a_model_that_cannot_be_loaded_says_so_each_time(make: Make, tiny_model_dir: Path, tmp_path: Path) -> None:
    for file in tiny_model_dir.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    engine = make(tmp_path)
    for _ in range(3):
        with pytest.raises(ModelDamaged, match="cannot be loaded"):
            engine.run(engine.supervisor.do(WRITE))
    assert engine.supervisor.state == "failed"
    assert isinstance(engine.supervisor.problem, ModelDamaged)
    assert engine.supervisor.generation == 1  # not loaded again before the pause is over


def test_a_closed_one_does_nothing_more(make: Make, tiny_model_dir: Path) -> None:
    engine = make(tiny_model_dir)
    engine.run(engine.supervisor.close())
    with pytest.raises(EngineFailed, match="closed"):
        engine.run(engine.supervisor.do(WRITE))


def test_the_pauses_between_starts_grow_to_a_bound() -> None:
    assert [pause_seconds(n) for n in range(5)] == [0, 0.5, 1, 2, 4]
    assert pause_seconds(10_000) == 30


def child(*what: str) -> "subprocess.Popen[bytes]":
    command = [sys.executable, *(what or ("-m", "vicinal_daemon.worker"))]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


@contextmanager
def asked(script: str) -> Iterator[tuple["subprocess.Popen[bytes]", Any, Any]]:
    """An engine that `script` starts and that was asked for unit 7: the process, its input and its output."""
    with child("-c", script) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(frames.pack(Envelope(7, Drop("none"))))
        process.stdin.flush()
        yield process, process.stdin, process.stdout


@pytest.mark.parametrize(
    "garbage",
    [b"GET / HTTP/1.1\r\n\r\n", struct.pack(">I", 5) + b"hello", struct.pack(">I", 100) + b"short", b"\0"],
    ids=["another protocol", "no pickle", "half a frame", "half a length"],
)
def test_garbage_ends_the_child(garbage: bytes) -> None:
    with child() as process:
        _, log = process.communicate(garbage, timeout=30)
    assert process.returncode == 3
    assert b"the engine ends" in log


def test_a_frame_with_anything_but_our_messages_is_garbage(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[Any, ...]:
            return (os.mkdir, (str(tmp_path / "made"),))

    body = pickle.dumps(Evil())
    with child() as process:
        process.communicate(struct.pack(">I", len(body)) + body, timeout=30)
    assert process.returncode == 3
    assert not (tmp_path / "made").exists()


def test_the_child_goes_when_its_input_ends_even_at_work(tiny_model_dir: Path) -> None:
    with child() as process:
        process.communicate(frames.pack(Envelope(1, load_of(tiny_model_dir))), timeout=30)
    assert process.returncode == 0


@POSIX
def test_no_orphan_survives_its_parent() -> None:
    script = (
        "import asyncio\n"
        "from vicinal_daemon.worker.process import EngineProcess\n"
        "async def main():\n"
        "    process = await EngineProcess.start(memory_limit_bytes=2**40, hang_seconds=60, log=None)\n"
        "    print(process.pid, flush=True)\n"
        "    await asyncio.Event().wait()\n"
        "asyncio.run(main())\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.kill()
        assert gone(pid)


def test_what_native_code_prints_does_not_come_between_frames() -> None:
    script = (
        "import os\n"
        "from vicinal_daemon.worker import __main__ as worker\n"
        "worker.step_back = lambda _: os.write(1, b'llama_model_loader: noise')\n"
        "worker.main()\n"
    )
    with asked(script) as (process, source, sink):
        assert process.stderr is not None
        assert frames.read(sink) == Envelope(0, Done())
        source.close()
        assert b"noise" in process.stderr.read()


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("could not create a primitive", "engine-out-of-memory"),  # oneDNN, which says so ever after: the process ends
        ("DefaultCPUAllocator: can't allocate memory", "engine-out-of-memory"),
        ("shapes do not fit", "engine-failed"),
    ],
)
def test_what_fails_in_the_engine_is_told_apart(message: str, kind: str) -> None:
    script = (
        "from vicinal_daemon.worker import bench, __main__ as worker\n"
        "def do(*_, **__):\n"
        f"    raise RuntimeError({message!r})\n"
        "bench.Bench.do = do\n"
        "worker.main()\n"
    )
    with asked(script) as (process, source, sink):
        told = next((one.body for one in iter(lambda: frames.read(sink), None) if one.number == 7), None)
        source.close()
    said = told.kind if isinstance(told, Failed) else error_type(type(_obituary(process.returncode)))
    assert said == kind


def test_every_message_crosses_the_pipe_as_it_is() -> None:
    for body in (WRITE, load_of(Path("/models/x")), Step("run"), Loaded("cpu", "float32", "transformers", 1.0), None):
        assert frames.read(io.BytesIO(frames.pack(Envelope(3, body)))) == Envelope(3, body)
    assert frames.read(io.BytesIO(b"")) is None
