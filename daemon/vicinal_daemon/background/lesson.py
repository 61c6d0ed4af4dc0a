"""What a warm adapter studies, in this state of the repository.

Owns whether an earlier choice still stands: a checkpoint goes on only if all that it rests on is there unchanged. It
does not know when or how it is studied. Everything here may take long; call it in a thread.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vicinal_daemon.background.choose import split, warm_order
from vicinal_daemon.config import Settings
from vicinal_daemon.models import ModelFiles
from vicinal_daemon.tune.adapter_file import AdapterInfo, Pick, adapter_key, settings_digest
from vicinal_daemon.tune.adapters import AdapterStore
from vicinal_daemon.tune.checkpoints import Checkpoint, Checkpoints
from vicinal_daemon.worker.messages import Code
from vicinal_daemon.workspaces import Workspace
from vicinal_indexer.types import Candidate

SAMPLE = 4096
"""Chunks of the repository that are looked at."""

FIRST_STEPS, COURSE_GROWTH = 64, 5
"""Steps of the first course, and how many times as many each next one has, up to `warm.steps`: there is soon something
to wear, and all short ones together take less than a third of the time of the whole."""

FEWEST_CHUNKS = 16
"""A repository with fewer has nothing to teach that a request would not find."""

OPEN_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Lesson:
    """What one run studies, what judges it, and the adapter that it will make.

    Attributes:
        info: its steps, scale and size are to come.
        examples: the code of `info.picks`, in their order.
        held_out: what the guard scores; no example is among it.
        settings: of the repository, with the steps of this course.
        checkpoint: where an earlier run of the same lesson stopped.
    """

    info: AdapterInfo
    examples: tuple[Code, ...]
    held_out: tuple[Code, ...]
    settings: Settings
    checkpoint: Checkpoint | None


def training_digest(settings: Settings) -> str:
    """Stands for how a warm adapter is trained: with another one, what it has learned is something else."""
    tuning, warm = settings.tune.model_dump(exclude={"steps", "momentum"}), settings.warm
    own = {"depth": warm.depth, "learning_rate": warm.learning_rate, "warm": warm.steps}
    return settings_digest({**tuning, **own, "seed": settings.seed})


def tuning_digest(settings: Settings) -> str:
    """Stands for how a warm adapter comes to be worn: with another one, it has to be made anew."""
    return settings_digest({"training": training_digest(settings), "scale": settings.warm.scale})


def courses(settings: Settings) -> list[Settings]:
    """As they are, but for the number of steps: of each course, the shortest first; the last is `settings`.

    None has less than twice as many steps as the one before.
    """
    steps, found = FIRST_STEPS, []
    while 2 * steps <= settings.warm.steps:
        found.append(settings.model_copy(update={"warm": settings.warm.model_copy(update={"steps": steps})}))
        steps *= COURSE_GROWTH
    return [*found, settings]


def plan_lesson(
    workspace: Workspace,
    settings: Settings,
    files: ModelFiles,
    store: AdapterStore,
    checkpoints: Checkpoints,
    *,
    taken: str,
) -> Lesson | None:
    """What there is to study: what a checkpoint was studying if all of that is still there, else a new choice.

    A checkpoint that cannot go on is deleted. A refreshed adapter does not start from the old one: what that has
    learned of code which is gone must go too.

    Args:
        taken: the `tuning_digest` of the course whose adapter stands; "" if none does. A longer one comes next: that
            which has begun, else the shortest; of a repository too small for twice its steps, the whole.

    Returns:
        None where there is too little code.

    Raises:
        VicinalError: the index cannot be read, or the checkpoint not be deleted.
    """
    root = str(workspace.root)
    candidates = workspace.index(OPEN_SECONDS).sample(SAMPLE, settings.seed)
    if len(candidates) < FEWEST_CHUNKS:
        return None
    by_place = {(c.chunk.path, c.chunk.content_hash): c for c in candidates}
    ahead = courses(settings)
    ahead = ahead[[tuning_digest(course) for course in ahead].index(taken) + 1 if taken else 0 :]
    found = checkpoints.load(root)
    course = _still_stands(found, ahead, files, by_place)
    if found is not None and course is not None:
        picks, studied = found.picks, tuple(by_place[pick.path, pick.content_hash] for pick in found.picks)
        held_out = tuple(split(candidates, settings.seed)[0])
    else:
        if found is not None:
            checkpoints.clear(root)
            found = None
        long_enough = (course for course in ahead[:-1] if 2 * course.warm.steps <= len(candidates))
        course = next(long_enough, settings)
        order = warm_order(candidates, course.warm.steps, settings.seed)
        pairs = zip(order.picks, order.shares, strict=True)
        picks, studied = tuple(Pick(c.chunk.path, c.chunk.content_hash, share) for c, share in pairs), order.picks
        held_out = order.held_out
    tuning = tuning_digest(course)
    known = {pick.content_hash for pick in picks}  # of a checkpoint, when another chunk than before is held out
    key = adapter_key(root, files.fingerprint, tuning, picks)
    info = AdapterInfo(
        key=key,
        workspace=root,
        kind="warm",
        picks=picks,
        fingerprint=files.fingerprint,
        tuning=tuning,
        steps=0,
        scale=1.0,
        bytes=0,
        created=0.0,
        used=0.0,
        pinned=False,
        file=store.path_for(key),
    )
    judging = codes([c for c in held_out if c.chunk.content_hash not in known])
    return Lesson(info, codes(studied), judging, course, found)


def _still_stands(
    found: Checkpoint | None,
    ahead: Sequence[Settings],
    files: ModelFiles,
    by_place: Mapping[tuple[str, str], Candidate],
) -> Settings | None:
    """The course that a checkpoint is of, if that is to come and all that it rests on is there."""
    if found is None or found.fingerprint != files.fingerprint:
        return None
    if any((pick.path, pick.content_hash) not in by_place for pick in found.picks):
        return None
    return next((course for course in ahead if tuning_digest(course) == found.tuning), None)


def current_hashes(workspace: Workspace, picks: Sequence[Pick]) -> dict[str, frozenset[str]]:
    """The content hashes of the chunks of the picks' files as they are now."""
    return workspace.index(OPEN_SECONDS).hashes(sorted({pick.path for pick in picks}))


def changed_share(workspace: Workspace, picks: Sequence[Pick]) -> float:
    """The share of picks that are no longer in the repository as they were; 1 if a file has left the index."""
    current = current_hashes(workspace, picks)
    if any(pick.path not in current for pick in picks):
        return 1.0
    return sum(pick.content_hash not in current[pick.path] for pick in picks) / max(1, len(picks))


def codes(candidates: Sequence[Candidate]) -> tuple[Code, ...]:
    """The chunks as the engine reads them."""
    return tuple(Code(c.chunk.path, c.chunk.language, c.chunk.text) for c in candidates)
