"""Measuring on a small real model: exact reuse of what was read, records of every mode, runs that go on."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from vicinal_daemon.config import Settings
from vicinal_daemon.evaluate.measure import Extent, Lab, measure_task
from vicinal_daemon.evaluate.modes import GROUPS, IN_FILE, Mode, parse_modes
from vicinal_daemon.evaluate.reading import Reader
from vicinal_daemon.evaluate.record import Record, read_records
from vicinal_daemon.evaluate.run import Order, run
from vicinal_daemon.evaluate.tasks import Task, cut
from vicinal_daemon.generate.prompt import Prompt
from vicinal_daemon.generate.transformers_engine import TransformersEngine
from vicinal_daemon.stages import silent
from vicinal_daemon.tune.lora import applied
from vicinal_daemon.tune.run import TuningSettings
from vicinal_daemon.tune.tuner import tune
from vicinal_daemon.tune.wardrobe import Wardrobe
from vicinal_indexer.index import RepositoryIndex

TEXT = "def total(items):\n    return sum(items)\n\n\ndef mean(items):\n"
TRUTH = "    return total(items) / len(items)"


@pytest.fixture(scope="module")
def engine(tiny_model_dir: Path) -> TransformersEngine:
    return TransformersEngine(tiny_model_dir, "cpu")


@pytest.fixture
def settings(daemon_settings: Callable[..., Settings]) -> Settings:
    return daemon_settings(tune__steps=3, tune__learning_rate=0.02)


@pytest.fixture
def index(shop: Path, tmp_path: Path) -> Iterator[RepositoryIndex]:
    with RepositoryIndex.open(shop, tmp_path / "index") as opened:
        opened.sync()
        yield opened


@pytest.fixture
def lab(engine: TransformersEngine, settings: Settings, index: RepositoryIndex) -> Iterator[Lab]:
    with Wardrobe(engine) as wardrobe:
        yield Lab("shop", engine, wardrobe, Reader(engine, settings), index, settings)


@pytest.fixture
def task(shop: Path) -> Task:
    return cut("line", "refund.py", (shop / "refund.py").read_text(), 11)


def test_what_was_read_under_a_name_scores_and_writes_the_same(engine: TransformersEngine) -> None:
    engine.prefixes.forget()
    prompt = Prompt(TEXT, (0, len(TEXT)))
    stem = len(TEXT) - 1
    alone = engine.score(TEXT + TRUTH, stem)
    written = engine.generate(prompt, lambda text: "\n" in text, max_tokens=8)
    context = engine.score_under("base", TEXT, 0)
    assert context.log_probabilities == pytest.approx(engine.score(TEXT, 0).log_probabilities, abs=1e-4)
    after = engine.score_under("base", TEXT + TRUTH, stem)
    assert after.spans == alone.spans
    assert after.log_probabilities == pytest.approx(alone.log_probabilities, abs=1e-4)
    again = engine.generate_under("base", prompt, lambda text: "\n" in text, max_tokens=8)
    assert again.text == written.text
    assert again.read_tokens < again.prompt_tokens / 2
    # Scoring another continuation of what was read is not led astray by the first one.
    other = engine.score_under("base", TEXT + "    pass", stem)
    assert other.log_probabilities == pytest.approx(engine.score(TEXT + "    pass", stem).log_probabilities, abs=1e-4)


def test_under_another_name_nothing_is_reused(engine: TransformersEngine) -> None:
    engine.prefixes.forget()
    prompt = Prompt(TEXT, (0, len(TEXT)))
    adapter = tune(engine, [TEXT] * 3, prompt, TuningSettings(4, 0.02, 64, False, 0)).adapter
    base = engine.score_under("base", TEXT, 0).log_probabilities
    with applied(engine, adapter):
        alone, worn = engine.score(TEXT, 0), engine.score_under("adapter", TEXT, 0)
    assert worn.log_probabilities == pytest.approx(alone.log_probabilities, abs=1e-4)
    assert worn.log_probabilities != pytest.approx(base, abs=1e-2)
    assert engine.score_under("base", TEXT, 0).log_probabilities == pytest.approx(base, abs=1e-4)


def test_bits_per_byte_are_those_of_one_pass_over_prompt_and_truth(
    engine: TransformersEngine, settings: Settings
) -> None:
    prompt = Prompt(TEXT, (0, len(TEXT)))
    reading = Reader(engine, settings).read("base", prompt, TRUTH)
    whole = engine.score(TEXT + TRUTH, len(TEXT) - 1).between(len(TEXT) - 1, len(TEXT) + len(TRUTH))
    assert reading.bits == pytest.approx(-sum(whole) / 0.6931471805599453 / (len(TRUTH) + 1), abs=1e-4)
    context = engine.score(TEXT, 0).log_probabilities
    assert reading.context_loss == pytest.approx(-sum(context) / len(context), abs=1e-4)


def test_every_mode_of_a_task_has_a_record_with_evidence(lab: Lab, task: Task) -> None:
    modes = parse_modes("all")
    records = {record.mode: record for record in measure_task(lab, task, modes)}
    assert set(records) == {mode.name for mode in modes}
    for record in records.values():
        assert (record.task, record.truth, record.language) == (task.id, task.truth, "python")
        assert record.bits > 0
        assert record.seconds > 0
        assert 0 <= record.evidence.sigma_n <= record.evidence.sigma_0
        assert record.evidence.similarity > 0
        if "tune" not in record.mode:
            assert (record.steps, record.unguarded_bits) == (0, record.bits)
    for name in ("tune:sift", "tune:nn", "planted+tune:nn"):
        assert records[name].steps == 3
        assert records[name].scale in (0.0, 0.5, 1.0)
        assert records[name].evidence.change is not None
    assert records["in-file"].evidence.change is None
    # There is no warm adapter: the base stands for it.
    assert records["warm"].bits == pytest.approx(records["in-file"].bits)
    assert records["warm+tune:sift"].bits == pytest.approx(records["tune:sift"].bits, rel=1e-4)


def test_a_mode_says_the_same_alone_and_among_others(lab: Lab, task: Task) -> None:
    def told(modes: tuple[Mode, ...]) -> Record:
        return next(r for r in measure_task(lab, task, modes) if r.mode == "tune:sift+prompt:sift")

    alone, among = told((GROUPS["quick"][-1],)), told(GROUPS["quick"])
    assert (alone.text, alone.scale, alone.steps) == (among.text, among.scale, among.steps)
    assert alone.bits == pytest.approx(among.bits, rel=1e-4)


def test_the_model_is_bare_afterwards(lab: Lab, task: Task) -> None:
    before = lab.engine.score(TEXT, 0)
    list(measure_task(lab, task, GROUPS["quick"]))
    assert lab.engine.score(TEXT, 0) == before


def test_a_curve_begins_at_the_base_and_ends_at_the_whole_adapter(
    engine: TransformersEngine, settings: Settings, index: RepositoryIndex, task: Task
) -> None:
    with Wardrobe(engine) as wardrobe:
        lab = Lab("shop", engine, wardrobe, Reader(engine, settings), index, settings, None, Extent((), (1, 2, 4)))
        base, tuned = measure_task(lab, task, (IN_FILE, Mode(weights="sift")))
    assert base.curve == {}
    assert list(tuned.curve) == [0, 1, 2, 3]
    assert tuned.curve[0] == pytest.approx(base.bits)
    assert tuned.curve[3] == pytest.approx(tuned.unguarded_bits)


def test_a_run_goes_on_where_it_stopped(
    engine: TransformersEngine, settings: Settings, index: RepositoryIndex, shop: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.jsonl"

    def measured(count: int, modes: str) -> tuple[list[Record], int]:
        order = Order(("line",), count, 1, parse_modes(modes), out)
        _, records = run(shop, engine, index, settings, order, Extent(()), silent)
        return records, len(out.read_text().splitlines())

    first, written = measured(2, "in-file")
    assert (len(first), written) == (2, 3)
    text = out.read_text()
    more, written = measured(2, "in-file,warm,prompt:nn")
    assert (len(more), written) == (6, 7)
    assert out.read_text().startswith(text)
    assert measured(2, "in-file,warm,prompt:nn") == (more, 7)
    assert read_records(out)[0].repo == shop.name
