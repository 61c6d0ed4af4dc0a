"""Tasks by seed, cuts that lose nothing, metrics, modes, intervals, records, tables: what is pure of `vicinal eval`."""

import json
import math
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vicinal_daemon.config.repo_file import with_values
from vicinal_daemon.errors import ConfigError, RecordsMismatch, RecordsUnusable
from vicinal_daemon.evaluate import statistics
from vicinal_daemon.evaluate.figures import all_figures
from vicinal_daemon.evaluate.halving import Outcome, draw, race
from vicinal_daemon.evaluate.metrics import edit_similarity, is_exact, levenshtein
from vicinal_daemon.evaluate.modes import GROUPS, IN_FILE, Mode, parse_mode, parse_modes
from vicinal_daemon.evaluate.planted import COPIES, NEAREST, planted
from vicinal_daemon.evaluate.record import Evidence, Header, Record, RecordFile, by_mode, read_all, read_records
from vicinal_daemon.evaluate.report import markdown, summary
from vicinal_daemon.evaluate.session import remaining
from vicinal_daemon.evaluate.sketch import sketch
from vicinal_daemon.evaluate.tasks import Corpus, cut, is_code, sample_calls, sample_lines
from vicinal_indexer.chunks import chunk
from vicinal_indexer.errors import InputError

FILE = "\n".join(f"value_{n} = compute(first_{n}, second_{n})" for n in range(60)) + "\n"


# Tasks


def test_a_cut_loses_nothing() -> None:
    task = cut("line", "a.py", FILE, 20, 3)
    assert task.left + task.truth + task.right == FILE
    assert task.truth.startswith("value_19 =")
    assert (task.line, task.last_line, task.language) == (20, 22, "python")
    target = task.target
    assert target.left + target.hidden + target.right == FILE
    assert not target.mid_line
    assert target.last_line == 22


def test_a_place_that_is_not_there_is_refused() -> None:
    for first, lines in ((60, 40), (1, 1), (61, 1)):
        with pytest.raises(ValueError, match=r"a\.py"):
            cut("line", "a.py", FILE, first, lines)


def test_same_seed_same_tasks_and_none_overlap() -> None:
    corpus = Corpus({"a.py": FILE, "b.py": FILE.replace("value", "other")})
    tasks = sample_lines(corpus, 12, 3, lines=3)
    assert tasks == sample_lines(corpus, 12, 3, lines=3)
    assert tasks != sample_lines(corpus, 12, 4, lines=3)
    assert sample_lines(corpus, 5, 3, lines=3) == tasks[:5]
    lines = [(task.path, line) for task in tasks for line in range(task.line, task.last_line + 1)]
    assert len(lines) == len(set(lines)) == 36
    assert len({task.id for task in tasks}) == 12


def test_an_id_hangs_on_what_stands_before_and_in_the_task() -> None:
    task = cut("line", "a.py", FILE, 20)
    assert cut("line", "a.py", FILE + "more = 1\n", 20).id == task.id
    others = [cut("line", "a.py", FILE, 21), cut("api", "a.py", FILE, 20), cut("line", "b.py", FILE, 20)]
    others.append(cut("line", "a.py", "x" + FILE, 20))
    assert len({task.id, *(other.id for other in others)}) == 5


def test_blank_comment_short_and_repeated_lines_are_no_tasks() -> None:
    text = (
        FILE
        + '\n# a comment (with, many, tokens)\nx = 1\ndef f(a):\n    """Says, in many words, nothing.\n\n'
        + '    More of (the same, here, too).\n    """\n'
        + "same(a, b, c, d)\n" * 9
    )
    tasks = sample_lines(Corpus({"a.py": text}), 100, 0)
    assert {task.truth.split("_")[0] for task in tasks} <= {"value", "def f(a):"}
    assert len(tasks) > 40


def test_prose_files_are_no_programs() -> None:
    assert Corpus({"README.md": FILE, "a.json": FILE, "a.py": FILE}).files.keys() == {"a.py"}


@pytest.mark.parametrize(
    ("line", "counts"),
    [
        ("    return f(x, y)", True),
        ("#[derive(Debug, Clone)]", True),
        ("*pointer = f(x, y);", True),
        (" * says f(x, y)", False),
        ("// says f(x, y)", False),
        ("x = 1", False),
        ("", False),
    ],
)
def test_what_is_code(line: str, counts: bool) -> None:
    assert is_code(line) is counts


def test_api_tasks_call_what_another_file_defines() -> None:
    library = "def prepare_order(a, b):\n    return a\n\n\n"
    library += "class LedgerBook:\n    def enter_row(self, row):\n        return row\n"
    user = "\n".join(f"row_{n} = plain_{n}(one_{n}, two_{n})" for n in range(20))
    user += (
        "\nbook = LedgerBook(prepare_order(1, 2))\nresult = book.enter_row(row_1, 2)\nlocal = print(row_3, row_4, 5)\n"
    )
    tasks = sample_calls(Corpus({"library.py": library, "user.py": user}), 10, 0)
    assert {task.truth for task in tasks} == {
        "book = LedgerBook(prepare_order(1, 2))",
        "result = book.enter_row(row_1, 2)",
    }
    assert {task.kind for task in tasks} == {"api"}


def test_api_tasks_take_far_definitions_of_the_same_file_last() -> None:
    text = "def helper_of_all(a):\n    return a\n" + FILE + FILE.replace("value", "other").replace("first", "third")
    near = "def nearby_helper(a):\n    return a\nthing = nearby_helper(one, two, three)\n"
    text += near + "last = helper_of_all(four, five, six)\n"
    assert [t.truth for t in sample_calls(Corpus({"a.py": text}), 10, 0)] == ["last = helper_of_all(four, five, six)"]


# Metrics


def test_exact_match_strips_lines_drops_blank_ones_and_cuts_to_the_truth() -> None:
    assert is_exact("\n  return x\n\n", "    return x")
    assert is_exact("return x\nand more", "return x")
    assert not is_exact("return", "return x")
    assert not is_exact("", "return x")
    assert is_exact("a\n\nb\nc", "a\nb")
    assert not is_exact("", "  \n")


words = st.text("ab (", max_size=12)


@given(words, words, words)
def test_levenshtein_is_a_distance(a: str, b: str, c: str) -> None:
    assert levenshtein(a, b) == levenshtein(b, a) <= max(len(a), len(b))
    assert (levenshtein(a, b) == 0) == (a == b)
    assert levenshtein(a, c) <= levenshtein(a, b) + levenshtein(b, c)
    assert abs(len(a) - len(b)) <= levenshtein(a, b)


@given(words, words)
def test_similarity_is_one_exactly_for_exact_matches(predicted: str, truth: str) -> None:
    similarity = edit_similarity(predicted, truth)
    assert 0 <= similarity <= 1
    if truth.strip():
        assert (similarity == 1) == is_exact(predicted, truth)


# Modes


def test_a_mode_is_its_name() -> None:
    for group in GROUPS.values():
        for mode in group:
            assert parse_mode(mode.name) == mode
    assert parse_mode("prompt:bm25+tune:nn+warm").name == "warm+tune:nn+prompt:bm25"


def test_in_file_is_always_measured_and_no_mode_twice() -> None:
    assert parse_modes("tune:sift,quick")[0] == IN_FILE
    assert len(set(parse_modes("all,quick,warmed"))) == len(parse_modes("all"))
    for wrong in ("", "tuned", "tune:bm25", "prompt:none", "quick,warm+"):
        with pytest.raises(InputError):
            parse_modes(wrong)


def test_planted_copies_differ_by_a_trifle_only() -> None:
    text = "\n\n".join(f"def function_{n}(a):\n" + f"    a += {n}\n" * 9 for n in range(12))
    chunks = chunk("a.py", text, "python")
    found = planted(chunks, chunks)
    copies = found[len(chunks) :]
    assert found[: len(chunks)] == chunks
    assert len(copies) == COPIES * min(NEAREST, len(chunks))
    assert len({copy.content_hash for copy in found}) == len(found)
    assert all(any(copy.text.startswith(c.text) for c in chunks) for copy in copies)


# The race of settings


NOW = (("prompt.picks", 4.0), ("tune.steps", 8.0), ("tune.learning_rate", 8e-3), ("select.noise", 0.1))


def test_settings_are_drawn_once_and_those_of_now_come_first() -> None:
    drawn = draw(NOW, 40, 1)
    assert drawn[0] == NOW
    assert len(drawn) == len(set(drawn)) == 40
    assert drawn == draw(NOW, 40, 1)
    rates = {dict(values)["tune.learning_rate"] for values in drawn if not dict(values)["tune.steps"]}
    assert rates <= {8e-3}


@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 9))
@settings(max_examples=30, deadline=None)
def test_the_best_that_is_fast_enough_wins(count: int, tasks: int, seed: int) -> None:
    candidates = draw(NOW, count, seed)
    rng = np.random.default_rng(seed)
    truth = {values: (float(rng.uniform(0.3, 1)), float(rng.uniform(1, 9))) for values in candidates}
    calls: list[tuple[object, int]] = []

    def measure(values: tuple[tuple[str, float], ...], task: int) -> Outcome:
        calls.append((values, task))
        return Outcome(*truth[values])

    verdict = race(candidates, tasks, measure, limit=5.0)
    assert len(calls) == len(set(calls))
    fast = [values for values in candidates if truth[values][1] <= 5.0]
    if truth[NOW][1] <= 5.0 or not fast:
        fast.append(NOW)
    assert verdict.best.values == min(fast, key=lambda values: truth[values][0])
    assert len(verdict.now.outcomes) == len(verdict.best.outcomes) == tasks
    assert (verdict.gain.value < 0) or not verdict.changes or truth[NOW][1] > 5.0


def test_a_settings_file_keeps_what_its_owner_wrote() -> None:
    text = "# ours\nseed = 3\n\n[tune]\nsteps = 8  # enough\n\n[prompt]\npicks = 4"
    changed = with_values(text, {"tune.steps": 4, "tune.learning_rate": 3e-3, "select.noise": 0.3, "prompt.picks": 2})
    assert changed == (
        "# ours\nseed = 3\n\n[tune]\nsteps = 4  # enough\nlearning_rate = 0.003\n\n[prompt]\npicks = 2\n\n"
        "[select]\nnoise = 0.3\n"
    )
    assert with_values("", {"tune.steps": 4}) == "[tune]\nsteps = 4\n"
    assert with_values(changed, {}) == changed


def test_what_cannot_be_edited_is_left_alone() -> None:
    for text in ("tune = { steps = 8 }\n", "tune.steps = 8\n", "[tune\n"):
        with pytest.raises(ConfigError) as failure:
            with_values(text, {"tune.steps": 4})
        assert "tune.steps = 4" in failure.value.hint
    with pytest.raises(ConfigError, match="cannot be set"):
        with_values("", {"model.name": "other"})


# Statistics

numbers = st.lists(st.floats(-5, 5), min_size=2, max_size=30).map(np.array)


@settings(max_examples=30, deadline=None)
@given(numbers, st.floats(-3, 3), st.integers(0, 5))
def test_intervals_hold_the_mean_and_move_with_the_data(values: np.ndarray, shift: float, seed: int) -> None:
    found = statistics.mean(values, seed, 500)
    assert found.value == pytest.approx(values.mean())
    assert values.min() - 1e-9 <= found.low <= found.high <= values.max() + 1e-9
    moved = statistics.mean(values + shift, seed, 500)
    assert (moved.low, moved.high) == pytest.approx((found.low + shift, found.high + shift), abs=1e-9)
    assert statistics.mean(values, seed, 500) == found


def test_the_bootstrap_agrees_with_the_normal_interval() -> None:
    values = np.random.default_rng(0).normal(2.0, 1.0, 400)
    found = statistics.mean(values)
    error = 1.96 * values.std() / math.sqrt(400)
    assert (found.low, found.high) == pytest.approx((values.mean() - error, values.mean() + error), abs=0.01)


def test_differences_are_paired() -> None:
    second = np.random.default_rng(1).normal(0, 100, 50)
    found = statistics.difference(second - 0.5, second)
    assert (found.low, found.high) == pytest.approx((-0.5, -0.5))
    assert found.is_clear_of_zero
    assert statistics.ratio(3 * abs(second), abs(second)).high == pytest.approx(3.0)
    with pytest.raises(ValueError, match="same tasks"):
        statistics.difference(second, second[1:])


def test_no_task_is_no_number() -> None:
    assert math.isnan(statistics.mean(np.empty(0)).value)


# Records

HEADER = Header("shop", "c0ffee", "tree", "tiny", 0, 1, "print", {"tune.steps": 8})


def record(mode: str = "in-file", task: str = "a", bits: float = 1.0, **more: object) -> Record:
    evidence = Evidence((-0.1, -0.2), 0.5, 1.0, 0.5, 0.2, 0.7, None, True)
    made = Record(
        "shop", task, "line", "a.py", 3, "python", mode, "x = 1", "x = 2", False, 0.8, bits, 6, bits, 0, 0.0, 1.5, 0.4,
        evidence,
    )  # fmt: skip
    return replace(made, **more)  # type: ignore[arg-type]


def test_records_come_back_as_they_were(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "out.jsonl"
    tuned = record("tune:sift", curve={0: 1.0, 1: 0.9}, steps=1, exact=True)
    with RecordFile(file, HEADER) as out:
        out.append(record())
        out.append(tuned)
    assert read_records(file) == (HEADER, [record(), tuned])
    with RecordFile(file, HEADER) as again:
        assert again.done() == {("a", "in-file"), ("a", "tune:sift")}
        again.append(record(task="b"))
    assert len(read_records(file)[1]) == 3
    first = json.loads(file.read_text().splitlines()[1])
    assert set(first["evidence"]) == {*asdict(record().evidence)}


def test_a_line_that_was_cut_off_is_measured_again(tmp_path: Path) -> None:
    file = tmp_path / "out.jsonl"
    with RecordFile(file, HEADER) as out:
        out.append(record())
        out.append(record(task="b"))
    file.write_text(file.read_text()[:-20])
    with RecordFile(file, HEADER) as out:
        assert out.done() == {("a", "in-file")}
        out.append(record(task="c"))
    assert [r.task for r in read_records(file)[1]] == ["a", "c"]


def test_other_settings_are_not_mixed_in(tmp_path: Path) -> None:
    file = tmp_path / "out.jsonl"
    RecordFile(file, HEADER).close()
    with pytest.raises(RecordsMismatch, match=r"another tune\.steps"):
        RecordFile(file, replace(HEADER, fingerprint="other", settings={"tune.steps": 4}))
    with pytest.raises(RecordsMismatch, match="another commit, seed"):
        RecordFile(file, replace(HEADER, commit="beef", seed=1))


def test_what_holds_no_records_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    for text in ("hello\n", "{}\n", '{"header": {"repo": 1}}\n', "[]\n"):
        file.write_text(text)
        with pytest.raises(RecordsUnusable, match="no records"):
            read_records(file)
    with pytest.raises(RecordsUnusable, match="cannot be read"):
        read_records(tmp_path / "missing")


def test_files_with_the_same_task_are_not_added_up(tmp_path: Path) -> None:
    for name in ("one", "two"):
        with RecordFile(tmp_path / name, HEADER) as out:
            out.append(record())
    with pytest.raises(RecordsUnusable, match="the same task"):
        read_all([tmp_path / "one", tmp_path / "two"])


def test_only_what_is_not_measured_is_left_to_do() -> None:
    first, second = (cut("line", "a.py", FILE, line) for line in (20, 30))
    modes = (IN_FILE, Mode("sift"))
    done = {(first.id, "in-file"), (first.id, "prompt:sift"), (second.id, "in-file")}
    (job,) = remaining([first, second], modes, done)
    assert (job.task, job.modes) == (second, (Mode("sift"),))


def some_records() -> list[Record]:
    rng = np.random.default_rng(0)
    made = []
    for n in range(24):
        base = float(rng.uniform(0.5, 1.5))
        kind, about = ("line", "api")[n % 2], replace(record().evidence, sigma_n=base / 2)
        for mode, factor in (
            ("in-file", 1.0),
            ("prompt:sift", 0.8),
            ("tune:sift", 0.9),
            ("tune:sift+prompt:sift", 0.7),
        ):
            curve = {0: base, 2: base * factor} if "tune" in mode else {}
            made.append(
                record(mode, f"t{n}", base * factor, kind=kind, exact=n % 3 == 0, curve=curve, evidence=about,
                       confidence=float(rng.uniform()), steps=2 * ("tune" in mode))
            )  # fmt: skip
    return made


def test_tables_hold_means_ratios_and_paired_differences() -> None:
    records = some_records()
    told = summary(records)
    assert told["tasks"] == 24
    assert told["modes"]["prompt:sift"]["ratio"]["value"] == pytest.approx(0.8)
    assert told["modes"]["prompt:sift"]["worse"] == 0
    pair = next(p for p in told["pairs"] if (p["first"], p["second"]) == ("tune:sift+prompt:sift", "prompt:sift"))
    assert pair["ratio"]["value"] == pytest.approx(7 / 8)
    assert pair["bits"]["high"] < 0
    text = markdown([HEADER], records)
    assert "24 tasks" in text
    assert "| tune:sift+prompt:sift | 33.3%" in text
    assert "by kind | api (12) | line (12) |" in text
    json.dumps(told)


def test_only_tasks_that_all_modes_have_are_compared() -> None:
    records = [record(task="a"), record(task="b"), record("tune:sift", "b")]
    assert {mode: [r.task for r in found] for mode, found in by_mode(records).items()} == {
        "in-file": ["b"],
        "tune:sift": ["b"],
    }
    assert summary(records)["left_out"] == 1
    assert "1 more are not measured in all modes" in markdown([HEADER], records)


def test_every_figure_has_points_and_can_be_drawn_with_characters() -> None:
    figures = all_figures(some_records())
    assert [figure.name for figure in figures] == ["compute", "steps", "sigma", "reliability", "risk"]
    for figure in figures:
        drawn = sketch(figure)
        assert figure.title in drawn
        assert "x tune:sift" in drawn or "o tune:sift" in drawn or "+ tune:sift" in drawn
        assert max(map(len, drawn.split("\n"))) <= 90
    assert all_figures([]) == []


def test_no_group_has_the_name_of_a_mode() -> None:
    for name in GROUPS:
        with pytest.raises(InputError):
            parse_mode(name)
