"""Killed at any moment, the store is what a fresh build would be after the next sync."""

import os
import random
import subprocess
import sys
from collections import deque
from pathlib import Path

import pytest
from amounts import long, short
from sameness import built_anew, dump

from vicinal_indexer.index import RepositoryIndex

pytestmark = pytest.mark.slow

FILES = 16
READY = 3  # children that have loaded their libraries and wait for a turn

CHILD = """
import sys
from pathlib import Path
from vicinal_indexer import index, writer
writer.BATCH_CHUNKS = 8
print("loaded", flush=True)
sys.stdin.readline()
with index.RepositoryIndex.open(Path(sys.argv[1]), Path(sys.argv[2])) as opened:
    print("opened", flush=True)
    opened.sync()
    print("synced", flush=True)
    with opened.holding():
        opened.tidy()
    print("tidied", flush=True)
    opened.rebuild()
print("done", flush=True)
"""
WORDS = "def read file value parse"


def spawn(root: Path, data: Path) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-c", CHILD, str(root), str(data)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)


def change(root: Path, chance: random.Random, turn: int) -> None:
    """Write, delete or leave some files; their times are all different, as if hours had passed."""
    for number in chance.sample(range(FILES), chance.randrange(1, FILES)):
        path = root / f"pkg{number % 3}" / f"m{number}.py"
        path.parent.mkdir(exist_ok=True)
        if chance.random() < 0.2:
            path.unlink(missing_ok=True)
            continue
        functions = chance.randrange(1, 6)
        path.write_text(
            "".join(
                f"def read_{turn}_{number}_{n}(file):\n" + "    value = parse(file)\n" * 20 for n in range(functions)
            )
        )
        os.utime(path, ns=(10**18, 10**18 + turn * 1_000 + number))


@pytest.mark.parametrize("points", [short(40, minutes=20), long(500, hours=2)])
def test_killed_at_random_points(points: int, tmp_path: Path) -> None:
    chance = random.Random(0)  # noqa: S311 - not a secret
    root, data = tmp_path / "repo", tmp_path / "data"
    root.mkdir()
    survivor = RepositoryIndex.open(root, data)  # outlives every writer
    waiting = deque(spawn(root, data) for _ in range(READY))
    stages: dict[str, int] = {}
    longest, stage = 0.5, ""
    try:
        for turn in range(2 * points):
            if sum(stages.values()) >= points:
                break
            child = waiting.popleft()
            waiting.append(spawn(root, data))
            assert child.stdin is not None
            assert child.stdout is not None
            assert child.stdout.readline() == b"loaded\n"
            change(root, chance, turn)
            child.stdin.write(b"go\n")
            child.stdin.flush()
            try:
                child.wait(chance.uniform(0, longest))
                longest *= 0.97  # too late: it had ended
            except subprocess.TimeoutExpired:
                child.kill()
                said = child.stdout.read().split()
                stage = said[-1].decode() if said else "started"
                stages[stage] = stages.get(stage, 0) + 1
            child.communicate()
            if chance.random() < 0.3:
                continue  # the next child finds what two deaths left
            index = chance.choice((survivor, RepositoryIndex.open(root, data)))
            index.sync()
            assert dump(index, WORDS) == built_anew(root), f"after a kill when it had {stage}"
    finally:
        for child in waiting:
            child.kill()
            child.communicate()
    assert sum(stages.values()) >= points
    assert len(stages) >= 4, stages  # opening, syncing, tidying and rebuilding were all hit
