"""A whole evaluation of one repository: tasks, the warm adapter, records, from where an earlier run stopped.

Owns the order of these, and which index a task is measured on: the repository's own, or one of the tree
before a commit.
"""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path

from vicinal_daemon.config import Settings
from vicinal_daemon.embedder import open_embedder
from vicinal_daemon.evaluate.commits import Tree, before, sample_commit_lines
from vicinal_daemon.evaluate.measure import Extent, Lab
from vicinal_daemon.evaluate.modes import Mode
from vicinal_daemon.evaluate.reading import Reader
from vicinal_daemon.evaluate.record import Header, Record, RecordFile
from vicinal_daemon.evaluate.repository import header_of
from vicinal_daemon.evaluate.session import Job, remaining, run_jobs
from vicinal_daemon.evaluate.tasks import KINDS, Corpus, Kind, Task, sample_calls, sample_lines
from vicinal_daemon.evaluate.warm import warm_adapter
from vicinal_daemon.generate.remembered import Remembered
from vicinal_daemon.generate.transformers_engine import TransformersEngine
from vicinal_daemon.stages import OnStage
from vicinal_daemon.tune.wardrobe import Wardrobe
from vicinal_daemon.uncertainty import Belief
from vicinal_daemon.uncertainty.calibration import load
from vicinal_indexer.errors import InputError
from vicinal_indexer.index import RepositoryIndex


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be measured.

    Attributes:
        count: tasks in all, as many of each kind as of the others.
        lines: that a line or API task hides.
        out: the file of records; None keeps none.
    """

    kinds: tuple[Kind, ...]
    count: int
    lines: int
    modes: tuple[Mode, ...]
    out: Path | None


def parse_kinds(text: str) -> tuple[Kind, ...]:
    """Kinds of tasks, separated by commas.

    Raises:
        InputError: one is unknown, or there is none.
    """
    words = {word.strip() for word in text.split(",") if word.strip()}
    if not words or words - set(KINDS):
        raise InputError(f"{text!r} are no kinds of tasks", hint=f"name some of {', '.join(KINDS)}, with commas")
    return tuple(kind for kind in KINDS if kind in words)


def parse_scales(text: str) -> tuple[float, ...]:
    """Numbers between 0 and 1, separated by commas; none for an empty text.

    Raises:
        InputError: one of them is no such number.
    """
    try:
        scales = tuple(float(word) for word in text.split(",") if word.strip())
    except ValueError:
        scales = (-1.0,)
    if not all(0 < scale < 1 for scale in scales):
        raise InputError(f"{text!r} are no scales", hint="write numbers between 0 and 1, for example 0.25,0.5")
    return scales


def find_tasks(root: Path, files: dict[str, str], order: Order, seed: int, on_stage: OnStage) -> list[Task]:
    """The tasks of an order, the kinds by turns: wherever a run is stopped, it has measured as many of each.

    Raises:
        InputError: there is not a single one.
        HistoryUnusable: commit tasks are wanted, and git cannot tell.
    """
    each = -(-order.count // len(order.kinds))
    corpus = Corpus(files) if {"line", "api"} & set(order.kinds) else Corpus({})
    kinds: list[list[Task]] = []
    for kind in order.kinds:
        on_stage("tasks", sum(map(len, kinds)), order.count)
        if kind == "line":
            kinds.append(sample_lines(corpus, each, seed, lines=order.lines))
        elif kind == "api":
            kinds.append(sample_calls(corpus, each, seed, lines=order.lines))
        else:
            kinds.append(sample_commit_lines(root, each, seed))
    found = [task for turn in zip_longest(*kinds) for task in turn if task is not None]
    if not found:
        raise InputError(
            f"{root} has no lines to predict", hint="it needs program files with code that is not repeated"
        )
    return found


def run(
    root: Path,
    engine: TransformersEngine,
    index: RepositoryIndex,
    settings: Settings,
    order: Order,
    extent: Extent,
    on_stage: OnStage,
) -> tuple[Header, list[Record]]:
    """Measure what is not in the file yet; returns all records of these tasks and modes.

    Raises:
        VicinalError: there are no tasks, the file is another run's, or the model cannot be used.
    """
    files = dict(index.texts())
    header = header_of(root, files, engine, settings, extent, order.lines)
    file = RecordFile(order.out, header) if order.out is not None else None
    records = list(file.records) if file is not None else []
    try:
        tasks = find_tasks(root, files, order, settings.seed, on_stage)
        jobs = remaining(tasks, order.modes, file.done() if file is not None else set())
        folder = order.out.parent if order.out is not None else None
        with Wardrobe(engine) as wardrobe:
            belief = Belief(load(settings.index.data_dir).calibrator)
            reader = Reader(engine, settings)
            lab = Lab(header.repo, engine, wardrobe, reader, index, settings, extent=extent, belief=belief)
            meter = _Meter(on_stage, len(jobs))
            here, gone = [j for j in jobs if not j.task.commit], [j for j in jobs if j.task.commit]
            if here:
                # Not only the tasks that are left: the adapter is the same when a run goes on.
                lab_here = _with_warm(lab, here, [task for task in tasks if not task.commit], folder, on_stage)
                lab_here = _with_memory(lab_here, here, files)
                records += meter.measured(lab_here, here, file)
            if gone:
                records += _measured_in_history(root, lab, gone, tasks, folder, meter, file, on_stage)
    finally:
        if file is not None:
            file.close()
    wanted = {(task.id, mode.name) for task in tasks for mode in order.modes}
    return header, [record for record in records if (record.task, record.mode) in wanted]


def _measured_in_history(
    root: Path,
    lab: Lab,
    jobs: Sequence[Job],
    tasks: Sequence[Task],
    folder: Path | None,
    meter: "_Meter",
    file: RecordFile | None,
    on_stage: OnStage,
) -> list[Record]:
    """The oldest first: the warm adapter of the oldest tree knows nothing of what any task adds."""
    records: list[Record] = []
    with tempfile.TemporaryDirectory(prefix="vicinal-eval-") as temporary:
        tree = Tree(root, Path(temporary) / "tree")
        every = list(dict.fromkeys(task.commit for task in tasks if task.commit))
        oldest_first = {commit: place for place, commit in enumerate(reversed(every))}
        tree.go_to(before(root, every[-1]))
        data, embedder = Path(temporary) / "data", open_embedder(lab.settings)
        with RepositoryIndex.open(tree.files, data, embedder) as index:
            on_stage("index", 0, 0)
            index.sync()
            lab = _with_warm(replace(lab, index=index), jobs, (), folder, on_stage)
            lab = _with_memory(lab, jobs, dict(index.texts()))
            for job in sorted(jobs, key=lambda job: oldest_first[job.task.commit]):
                if tree.go_to(before(root, job.task.commit)):
                    index.sync()
                    lab = _with_memory(lab, jobs, dict(index.texts()))
                records += meter.measured(lab, [job], file)
    return records


def _with_warm(lab: Lab, jobs: Sequence[Job], hidden: Sequence[Task], folder: Path | None, on_stage: OnStage) -> Lab:
    if not any(mode.start == "warm" for job in jobs for mode in job.modes):
        return lab
    warm = warm_adapter(
        lab.engine,
        lab.wardrobe,
        lab.index,
        hidden,
        lab.settings,
        folder,
        lambda done, total: on_stage("warm", done, total),
    )
    return replace(lab, warm=warm)


def _with_memory(lab: Lab, jobs: Sequence[Job], files: dict[str, str]) -> Lab:
    if all(mode.memory == "none" for job in jobs for mode in job.modes):
        return lab
    remembered = lab.remembered or Remembered(lab.engine.codec)
    remembered.update(files)
    return replace(lab, remembered=remembered)


class _Meter:
    """Tells how many tasks are done, over several lots of them."""

    def __init__(self, on_stage: OnStage, total: int) -> None:
        self._on_stage, self._total, self._done = on_stage, total, 0

    def measured(self, lab: Lab, jobs: Sequence[Job], file: RecordFile | None) -> list[Record]:
        """The records of these jobs."""
        before = self._done
        records = list(
            run_jobs(lab, jobs, file, lambda done, total: self._on_stage("places", before + done, self._total))
        )
        self._done += len(jobs)
        return records
