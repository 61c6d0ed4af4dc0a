"""What is tried while files fail, each in a process of its own that has the layer in it.

`python scenes.py SCENE FOLDER POINTS SEED` tries so many random faults and exits with 0 if each promise held: the error
is one of ours and says what to do, and what comes after it without the fault is as if nothing had been. It prints what
came of the points, as JSON.
"""

import errno
import hashlib
import json
import os
import random
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
sys.path.insert(0, str(Path(__file__).parent))

from layer import ALL, CHANGES, FOREVER, VARIABLE, Faults, Kind

from vicinal_indexer.errors import VicinalError

ERRORS = (errno.ENOSPC, errno.EIO, errno.EACCES, errno.EROFS, errno.EMFILE)
Tally = Counter[str]


class Chance:
    """Draws faults, and says in one place what may come of them."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)  # noqa: S311 - not a secret
        self.faults = Faults(Path(os.environ[VARIABLE]))
        self.tally: Tally = Counter()

    def operations(self, below: Path, work: Callable[[], object], kinds: Kind = CHANGES) -> int:
        """How many operations the work takes when all goes well."""
        with self.faults.counting(below, kinds):
            work()
        return self.faults.count

    @contextmanager
    def fault(self, below: Path, most: int, *, reading: float = 0.0, longest: int = FOREVER) -> Iterator[None]:
        """Somewhere in the block, files below a folder fail: once, some times, or from then on. What the block raises
        must be one of our errors, with a hint.

        Args:
            most: about so many operations does the block take.
            reading: in [0, 1], how likely reads fail, too.
            longest: so many operations fail at most.
        """
        error = self.random.choice(ERRORS)
        first = self.random.randint(1, max(1, most))
        last = first - 1 + min(longest, self.random.choice((1, 1, 4, FOREVER - first)))
        kinds = ALL if self.random.random() < reading else CHANGES
        name = f"{errno.errorcode[error]}"
        told = "nothing"
        with self.faults.failing(below, error, first, last, kinds):
            try:
                yield
            except VicinalError as raised:
                told = type(raised).__name__
                if not (raised.message and raised.hint):
                    raise AssertionError(f"{told} from {name} says not what to do: {raised.message!r}") from raised
        self.tally[f"{name} {told if self.faults.hits else 'missed'}"] += 1


def index(folder: Path, points: int, chance: Chance) -> None:
    """Opening, syncing, tidying, rebuilding and forgetting; afterwards the store is what a fresh build would be."""
    from sameness import built_anew, digest_of, dump

    from vicinal_indexer import writer
    from vicinal_indexer.embed import StaticEmbedder
    from vicinal_indexer.index import RepositoryIndex

    words = "def read file value parse"
    writer.BATCH_CHUNKS = 8
    root, data = folder / "repo", folder / "data"
    root.mkdir()
    embedder = StaticEmbedder()

    def change(turn: int) -> None:
        for number in chance.random.sample(range(12), chance.random.randrange(1, 12)):
            path = root / f"m{number}.py"
            if chance.random.random() < 0.2:
                path.unlink(missing_ok=True)
                continue
            body = "    value = parse(file)\n" * 20
            path.write_text(
                "".join(f"def read_{turn}_{number}_{n}(file):\n{body}" for n in range(chance.random.randrange(1, 4)))
            )
            os.utime(path, ns=(10**18, 10**18 + turn * 1_000 + number))

    def work(kind: str, survivor: RepositoryIndex) -> None:
        if kind == "open":
            RepositoryIndex.open(root, data, embedder).sync()
        elif kind == "sync":
            survivor.sync()
        elif kind == "tidy":
            survivor.sync()
            with survivor.holding():
                survivor.tidy()
        elif kind == "rebuild":
            survivor.rebuild()
        elif kind == "search":
            survivor.search("read a file", limit=5)
        else:
            survivor.forget(["m1.py", "m2.py"])

    change(0)
    survivor = RepositoryIndex.open(root, data, embedder)
    survivor.sync()
    (root / "ignored.py").write_text("def read_ignored(file): ...\n")
    (root / ".gitignore").write_text("ignored.py\n")
    kinds = ("open", "sync", "tidy", "rebuild", "forget", "search")
    most = dict.fromkeys(kinds, 60)
    for turn in range(points):
        change(turn + 10)
        before = digest_of(root)
        kind = kinds[turn % len(kinds)]
        if chance.random.random() < 0.3:
            with chance.fault(root, 20, reading=1):
                survivor.sync()
            if chance.faults.error in (errno.EIO, errno.EMFILE):  # others may close an ignore file for good
                assert all("read_ignored" not in str(row[2]) for row in dump(survivor, words))
            survivor.sync()
            assert dump(survivor, words) == built_anew(root), "reading the repository"
            change(turn + 10)
            before = digest_of(root)
        with chance.fault(data, most[kind], reading=0.3):
            work(kind, survivor)
        most[kind] = max(10, chance.faults.count)
        assert digest_of(root) == before
        opened = chance.random.choice((survivor, None)) or RepositoryIndex.open(root, data, embedder)
        opened.sync()
        assert dump(opened, words) == built_anew(root), kind


def feedback(folder: Path, points: int, chance: Chance) -> None:
    """What was noted stays; what could not be is said; the next is noted again."""
    from vicinal_daemon.uncertainty.feedback import AnswerFeatures, FeedbackStore, Outcome

    features = AnswerFeatures(0.5, 1, 0.5, 0.1, 0.5, 0.9, 0.8, 3, 10, 1, "fresh", 3, 0.0, "invoked", "python", "tiny")
    file = folder / "data" / "feedback.sqlite"
    store = FeedbackStore(file)
    kept: set[str] = set()

    def note(name: str) -> None:
        store.record_answer(name, features, ["a.py"])
        kept.add(name)
        store.record(name, Outcome("accepted"))

    most = chance.operations(file.parent, lambda: note("first"), ALL)
    for point in range(points):
        if chance.random.random() < 0.5:
            store.close()  # the next use opens it again
        with chance.fault(file.parent, most + 10, reading=0.3):
            note(f"answer {point}")
        note(f"after {point}")
        assert kept <= {told.id for told in store.told()}
        assert not list(file.parent.glob("*.damaged-*")), "a fault of the disk was taken for damage"
        if chance.random.random() < 0.1:
            with chance.fault(file.parent, most + 10):
                store.erase()
                kept.clear()
            kept &= {told.id for told in store.told()}
    store.close()


def adapters(folder: Path, points: int, chance: Chance) -> None:
    """An adapter is there whole or not at all; the others stay; pins and limits hold."""
    import torch

    from vicinal_daemon.tune.adapter_file import AdapterInfo, Pick, adapter_key, metadata
    from vicinal_daemon.tune.adapters import AdapterStore
    from vicinal_daemon.tune.checkpoints import Checkpoint, Checkpoints
    from vicinal_daemon.tune.files import read_adapter, write_adapter
    from vicinal_daemon.tune.lora import Adapter

    place = folder / "data" / "adapters"
    store = AdapterStore(place, 10_000_000, 8)
    store.open()
    checkpoints = Checkpoints(folder / "data" / "warm")
    tensors = {f"layer.{n}.lora_{part}.weight": torch.randn(8, 8).half() for n in range(2) for part in "AB"}

    def learn(number: int) -> str:
        picks = (Pick("a.py", f"{number:032x}", 1.0),)
        key = adapter_key("/r", "print", "tuning", picks)
        info = AdapterInfo(
            key=key, workspace="/r", fingerprint="print", tuning="tuning", picks=picks, kind="tuned", steps=3,
            scale=1.0, created=1.0, used=1.0, bytes=0, file=store.path_for(key), pinned=False,
        )  # fmt: skip
        write_adapter(Adapter(tensors, 8), store.path_for(key), metadata(info))
        store.add(info)
        store.pin(key)
        store.unpin(key)
        file = checkpoints.path_for("/r", number)
        write_adapter(Adapter(tensors, 8), file, {})
        checkpoints.save(Checkpoint(key, "/r", "print", "tuning", picks, number, file))
        return key

    def look() -> None:
        for info in AdapterStore(place, 10_000_000, 8).all() + store.all():
            found = read_adapter(info.file)
            assert all(torch.equal(found.tensors[name], value) for name, value in tensors.items())

    most = chance.operations(folder / "data", lambda: learn(1), ALL)
    for point in range(points):
        if chance.random.random() < 0.3:
            with chance.fault(place, 10, reading=0.3):
                store.open()
            store.open()
        with chance.fault(folder / "data", most, reading=0.2):
            learn(2 * point + 2)
        look()
        for info in store.all():
            store.unpin(info.key)  # whose unpinning failed
        key = learn(2 * point + 3)
        assert store.get(key) is not None
        checkpoint = checkpoints.load("/r")
        assert checkpoint is not None
        assert checkpoint.done == 2 * point + 3
        look()
    store.open()
    assert not [file.name for file in place.iterdir() if file.name.endswith(".part")]


def small_files(folder: Path, points: int, chance: Chance) -> None:
    """Calibration, settings of a repository, the list of workspaces, who serves: the old file or the new one."""
    from dataclasses import replace

    from vicinal_daemon.place import Place, Serving
    from vicinal_daemon.uncertainty import calibration
    from vicinal_daemon.workspaces.memory import Memory
    from vicinal_indexer.exclude import exclude

    data, repo = folder / "data", folder / "repo"
    for made in (data, repo):
        made.mkdir()
    shipped = calibration.default_calibration()
    told = [replace(shipped, sheet=replace(shipped.sheet, fitted=f"2026-01-0{n}")) for n in (1, 2)]
    file = calibration.calibration_file(data)
    calibration.save(told[0], file)
    place = Place(folder / "data" / "run")
    place.prepare()
    serving = [Serving(pid=n, born="x", address="unix:/x", version="0", started=0, fingerprint="f") for n in (1, 2)]
    place.announce(serving[0])
    (repo / ".vicinalignore").write_text("mine\n")
    for point in range(points):
        with chance.fault(data, 4):
            calibration.save(chance.random.choice(told), file)
        assert calibration.load(data) in told
        assert not list(data.glob("*.damaged-*"))
        with chance.fault(data, 4, reading=0.5):
            Memory(data / "workspaces.json").note(Path("/r"), 1.0)
        Memory(data / "workspaces.json").note(Path("/r"), 2.0)
        assert Memory(data / "workspaces.json").used() == {Path("/r"): 2.0}
        with chance.fault(data, 4):
            place.announce(chance.random.choice(serving))
        assert place.serving() in serving
        with chance.fault(repo, 4, longest=1):  # what cannot be taken back either stays half a line
            exclude(repo, [f"a{point}.py"])
        lines = (repo / ".vicinalignore").read_text().splitlines()
        assert set(lines) <= {"mine", *(f"/a{number}.py" for number in range(points))}
        assert lines[0] == "mine"
    calibration.save(told[0], file)
    place.announce(serving[0])
    assert not list(data.rglob("*.part")), "what could not be written lies about"


def model_copies(folder: Path, points: int, chance: Chance) -> None:
    """A GGUF file's copy is whole or not there, and the file itself is never touched."""
    from vicinal_daemon import models

    source = folder / "tiny.gguf"
    before = hashlib.blake2b(source.read_bytes()).hexdigest()
    cache = folder / "cache"
    most = chance.operations(cache, lambda: models.resolve(str(source), cache))
    whole = {path.name: path.read_bytes() for path in models.resolve(str(source), cache).transformers_dir.iterdir()}
    import shutil

    for _ in range(points):
        shutil.rmtree(cache)
        with chance.fault(cache, most, reading=0.2):
            models.resolve(str(source), cache)
        files = models.resolve(str(source), cache)
        assert {path.name: path.read_bytes() for path in files.transformers_dir.iterdir()} == whole
        assert hashlib.blake2b(source.read_bytes()).hexdigest() == before


SCENES: dict[str, Callable[[Path, int, Chance], None]] = {
    scene.__name__: scene for scene in (index, feedback, adapters, small_files, model_copies)
}


if __name__ == "__main__":
    chance = Chance(int(sys.argv[4]))
    SCENES[sys.argv[1]](Path(sys.argv[2]), int(sys.argv[3]), chance)
    sys.stdout.write(json.dumps(dict(sorted(chance.tally.items()))) + "\n")
