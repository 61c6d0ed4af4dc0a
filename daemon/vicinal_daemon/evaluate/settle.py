"""`vicinal eval --tune`: the race of settings, on this repository and machine.

Owns what is measured of some settings: the whole method with them, on line tasks that a seed chose.
"""

from vicinal_daemon import config
from vicinal_daemon.config import Settings
from vicinal_daemon.config.repo_file import Value
from vicinal_daemon.evaluate.halving import SPACE, Outcome, Values, Verdict, draw, race
from vicinal_daemon.evaluate.measure import Extent, Lab, measure_task
from vicinal_daemon.evaluate.modes import Mode
from vicinal_daemon.evaluate.reading import Reader
from vicinal_daemon.evaluate.repository import repository_name
from vicinal_daemon.evaluate.tasks import Corpus, sample_lines
from vicinal_daemon.generate.transformers_engine import TransformersEngine
from vicinal_daemon.stages import OnStage
from vicinal_daemon.tune.wardrobe import Wardrobe
from vicinal_indexer.errors import InputError
from vicinal_indexer.index import RepositoryIndex

CANDIDATES = 8
"""Settings that start, those of now among them."""


def settle(
    engine: TransformersEngine,
    index: RepositoryIndex,
    settings: Settings,
    tasks: int,
    limit: float | None,
    on_stage: OnStage,
) -> Verdict:
    """Let settings race on `tasks` line tasks in the last round; `limit` as in `race`.

    Raises:
        InputError: the repository has no lines to predict.
    """
    chosen = sample_lines(Corpus(dict(index.texts())), tasks, settings.seed)
    if not chosen:
        raise InputError(f"{index.root} has no lines to predict", hint="it needs program files")
    values = {key: float(_setting(settings, key)) for key in SPACE}
    candidates = draw(tuple(values.items()), CANDIDATES, settings.seed)
    measured = 0
    with Wardrobe(engine) as wardrobe:

        def measure(values: Values, number: int) -> Outcome:
            nonlocal measured
            on_stage("settings", measured, 0)
            measured += 1
            own = config.overridden(settings, as_settings(dict(values)))
            # Without a scale between, a guard costs one reading; all settings are judged alike.
            lab = Lab(repository_name(index.root), engine, wardrobe, Reader(engine, own), index, own, None, Extent(()))
            mode = Mode("sift" if own.prompt.picks else None, "sift" if own.tune.steps else None)
            (record,) = measure_task(lab, chosen[number], (mode,))
            return Outcome(record.bits, record.seconds)

        return race(candidates, len(chosen), measure, limit)


def as_settings(values: dict[str, float]) -> dict[str, Value]:
    """Numbers of the race as values of the settings: whole where those are."""
    return {key: int(value) if key in ("prompt.picks", "tune.steps") else value for key, value in values.items()}


def _setting(settings: Settings, key: str) -> float:
    section, _, name = key.partition(".")
    return float(getattr(getattr(settings, section), name))
