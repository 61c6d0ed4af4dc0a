"""A run: all tasks in all modes, from where an earlier run stopped.

Owns what is left to do, and in which order. It does not know how anything is measured, or shown.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from vicinal_daemon.evaluate.measure import Lab, OnStep, measure_task
from vicinal_daemon.evaluate.modes import Mode
from vicinal_daemon.evaluate.record import Record, RecordFile
from vicinal_daemon.evaluate.tasks import Task

OnTask = Callable[[int, int], None]
"""Called with (tasks done, tasks in all) before each task and at the end."""


@dataclass(frozen=True, slots=True)
class Job:
    """A task, and the modes in which it is not measured yet."""

    task: Task
    modes: tuple[Mode, ...]


def remaining(tasks: Iterable[Task], modes: Sequence[Mode], done: set[tuple[str, str]]) -> list[Job]:
    """What is not measured yet, in the order of `tasks`."""
    jobs = [Job(task, tuple(mode for mode in modes if (task.id, mode.name) not in done)) for task in tasks]
    return [job for job in jobs if job.modes]


def run_jobs(
    lab: Lab,
    jobs: Sequence[Job],
    file: RecordFile | None,
    on_task: OnTask = lambda done, total: None,
    on_step: OnStep = lambda done, total: None,
) -> Iterator[Record]:
    """Measure, and write each record to `file` before it is handed on."""
    for number, job in enumerate(jobs):
        on_task(number, len(jobs))
        for record in measure_task(lab, job.task, job.modes, on_step):
            if file is not None:
                file.append(record)
            yield record
    on_task(len(jobs), len(jobs))
