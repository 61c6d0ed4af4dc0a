"""How sure answers are: features, the calibrator, its file, what feedback makes of it, and why they are not surer."""

import json
import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vicinal_daemon.errors import CalibrationDamaged, RecordsTooFew
from vicinal_daemon.uncertainty import Belief, Clues, calibration, clues_of, fitting
from vicinal_daemon.uncertainty.beliefs import Beliefs, belief_about, clues_in, name_of
from vicinal_daemon.uncertainty.calibration import Calibration, calibration_file, default_calibration, load, parsed
from vicinal_daemon.uncertainty.calibrator import Calibrator, fit, probability
from vicinal_daemon.uncertainty.features import FEATURES, GROUPS, vector
from vicinal_daemon.uncertainty.feedback import AnswerFeatures, FeedbackStore, Outcome, feedback_file
from vicinal_daemon.uncertainty.reasons import reasons
from vicinal_daemon.uncertainty.recalibration import UNCHANGED, Judgement, judgement, recalibrate
from vicinal_daemon.uncertainty.scoring import calibration_error

CLUES = Clues(-0.3, -0.9, 8, 30, 1, 0.4, 1.0, 0.5, 0.3, 0.6)

numbers = st.floats(-3, 3)
any_clues = st.builds(
    clues_of,
    st.text(min_size=1).filter(str.strip),
    st.lists(st.floats(-1e6, 0), min_size=1, max_size=40),
    first_entropy=st.floats(0, 12),
    sigma_0=st.just(1.0),
    sigma_n=st.floats(0, 1),
    sigma_inf=st.floats(0, 1),
    similarity=st.floats(0, 1),
    change=st.none() | st.floats(-3, 3),
    unmixed=st.none() | st.lists(st.floats(-1e6, 0), min_size=1, max_size=40),
)


class TestFeatures:
    @given(any_clues)
    def test_every_feature_of_every_answer_is_a_number(self, clues: Clues) -> None:
        assert all(math.isfinite(value) for value in vector(clues, tuple(FEATURES)))

    def test_each_feature_is_in_one_group(self) -> None:
        assert sorted(name for names in GROUPS.values() for name in names) == sorted(FEATURES)

    def test_what_the_memory_added_is_told_per_token(self) -> None:
        kinds = {"first_entropy": 0.0, "sigma_0": 1.0, "sigma_n": 1.0, "sigma_inf": 1.0, "similarity": 0.0}
        for unmixed, memory in (((-1.0, -3.0), 1.5), ((-0.5, -0.5), 0.0), ((-0.1, -0.1), -0.4), (None, None)):
            clues = clues_of("a b", (-0.5, -0.5), unmixed=unmixed, **kinds)
            assert clues is not None
            assert clues.memory == (pytest.approx(memory) if memory is not None else None)

    def test_nothing_shown_has_no_clues_and_is_never_right(self) -> None:
        kinds = {"first_entropy": 0.0, "sigma_0": 1.0, "sigma_n": 1.0, "sigma_inf": 1.0, "similarity": 0.0}
        assert clues_of("", (), **kinds) is None
        assert clues_of(" \n", (-0.1,), **kinds) is None
        assert Belief(default_calibration().calibrator).in_text(None) == 0.0

    def test_the_joint_probability_is_that_of_the_tokens(self) -> None:
        clues = clues_of("a b", (-0.5, -1.5), first_entropy=1, sigma_0=1, sigma_n=1, sigma_inf=1, similarity=0)
        assert clues is not None
        assert dict(zip(FEATURES, vector(clues, tuple(FEATURES)), strict=True))["joint_probability"] == pytest.approx(
            math.exp(-2)
        )


class TestCalibrator:
    @settings(max_examples=30, deadline=None)
    @given(st.integers(0, 1000), st.floats(0.1, 30), st.floats(0.2, 5), numbers)
    def test_the_gradient_is_zero_and_the_units_of_features_do_not_matter(
        self, seed: int, penalty: float, scale: float, shift: float
    ) -> None:
        rng = np.random.default_rng(seed)
        rows = rng.normal(size=(60, 3))
        right = (rng.random(60) < probability(rows @ [1.0, -0.5, 0.0])).astype(float)
        right[:2] = 0, 1
        found = fit("abc", rows, right, penalty=penalty)
        standard = (rows - found.means) / found.scales
        p = probability(standard @ found.weights + found.bias)  # not `logits`, which are cut at `MOST_LOGIT`
        assert standard.T @ (p - right) + penalty * np.array(found.weights) == pytest.approx(np.zeros(3), abs=1e-4)
        assert p.sum() == pytest.approx(right.sum(), abs=1e-4)
        again = fit("abc", rows * scale + shift, right, penalty=penalty)
        assert again.logits(rows * scale + shift) == pytest.approx(found.logits(rows), abs=1e-5)

    def test_it_finds_what_the_answers_were_made_with(self) -> None:
        rng = np.random.default_rng(0)
        rows = rng.normal(size=(20_000, 2))
        right = (rng.random(20_000) < probability(1.5 * rows[:, 0] - 0.7)).astype(float)
        found = fit("ab", rows, right, penalty=1.0)
        assert (*found.weights, found.bias) == pytest.approx((1.5, 0.0, -0.7), abs=0.06)

    def test_what_separates_perfectly_or_never_varies_stays_finite(self) -> None:
        rows = np.column_stack([np.linspace(-1, 1, 20), np.ones(20)])
        found = fit("ab", rows, (rows[:, 0] > 0).astype(float), penalty=1.0)
        assert found.weights[0] > 0
        assert found.weights[1] == 0.0
        assert 0 < probability(found.logit((1e9, 1.0))) < 1

    def test_answers_that_are_all_alike_teach_nothing(self) -> None:
        with pytest.raises(ValueError, match="teach nothing"):
            fit("a", np.ones((3, 1)), np.ones(3), penalty=1.0)

    @given(st.floats(-800, 800))
    def test_the_logistic_function_is_symmetric_and_never_overflows(self, logit: float) -> None:
        assert float(probability(logit)) + float(probability(-logit)) == pytest.approx(1.0)


class TestFile:
    def test_it_reads_back_as_it_was(self, tmp_path: Path) -> None:
        shipped = default_calibration()
        calibration.save(shipped, calibration_file(tmp_path))
        assert load(tmp_path) == shipped

    def test_the_one_that_comes_with_the_package_says_what_it_rests_on(self) -> None:
        sheet = default_calibration().sheet
        assert sheet.answers > 0
        assert len(sheet.sources) >= 2
        assert {"auroc", "calibration_error"} <= set(sheet.measures)
        assert sheet.to_hide(0.5).wrong_hidden >= 0.5

    @pytest.mark.parametrize(
        ("old", "new", "said"),
        [
            ('"features": [', '"features": ["made up", ', "checksum"),
            ('"schema": 1', '"schema": 9', "schema 9"),
            ('{\n "schema"', '[\n "schema"', "is no calibration"),
        ],
    )
    def test_a_changed_file_is_set_aside_and_the_shipped_one_counts(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture, old: str, new: str, said: str
    ) -> None:
        file = calibration_file(tmp_path)
        file.write_text(calibration.text_of(default_calibration()).replace(old, new))
        assert load(tmp_path) == default_calibration()
        assert said in caplog.text
        assert not file.exists()
        assert file.with_name("calibration.json.damaged-1").exists()

    def test_features_that_nobody_knows_are_named(self) -> None:
        shipped = default_calibration()
        odd = replace(shipped.calibrator, features=("moonlight", *shipped.calibrator.features[1:]))
        with pytest.raises(CalibrationDamaged, match="moonlight") as caught:
            parsed(calibration.text_of(replace(shipped, calibrator=odd)), "a file")
        assert caught.value.hint

    def test_a_number_that_is_none_is_refused(self) -> None:
        body = json.loads(calibration.text_of(default_calibration()))["calibration"]
        body["calibrator"]["scales"][0] = 0.0
        text = json.dumps(
            {"schema": 1, "checksum": calibration.digest(calibration._canonical(body)), "calibration": body}
        )
        with pytest.raises(CalibrationDamaged, match="positive"):
            parsed(text, "a file")


class TestRecalibration:
    def test_without_judgements_nothing_changes(self) -> None:
        assert recalibrate([]) == UNCHANGED
        assert UNCHANGED.logit(0.3) == 0.3

    def test_ten_judgements_do_not_overturn_it(self) -> None:
        sure = math.log(0.8 / 0.2)
        mixed = recalibrate([(sure, Judgement(number < 5, 1.0)) for number in range(10)])
        assert 0.6 < float(probability(mixed.logit(sure))) < 0.8
        rejected = recalibrate([(sure, Judgement(False, 1.0))] * 10)
        assert 0.3 < float(probability(rejected.logit(sure))) < 0.6

    @pytest.mark.parametrize(("offset", "slope"), [(-1.0, 1.0), (0.8, 1.0), (0.0, 0.6), (-0.6, 1.3)])
    def test_a_hundred_judgements_correct_a_shifted_repository(self, offset: float, slope: float) -> None:
        """Over sixty such repositories, each corrected by its own first hundred judgements."""
        rng = np.random.default_rng(7)
        claims: dict[str, list[float]] = {"before": [], "after": []}
        outcomes: list[float] = []
        distances = []
        for _ in range(60):
            logits = rng.normal(-0.5, 1.8, 400)
            truth = probability(offset + slope * logits)
            kept = (rng.random(400) < truth).astype(float)
            found = recalibrate((lo, Judgement(k > 0, 1.0)) for lo, k in zip(logits[:100], kept[:100], strict=True))
            corrected = probability(found.offset + found.slope * logits)
            claims["before"] += list(probability(logits)[100:])
            claims["after"] += list(corrected[100:])
            outcomes += list(truth[100:])
            distances.append(np.abs(corrected - truth).mean())
        errors = {name: calibration_error(np.array(said), np.array(outcomes)) for name, said in claims.items()}
        assert errors["after"] < 0.03 < errors["before"]
        assert np.mean(distances) < 0.06

    def test_a_calibrated_repository_stays_calibrated_after_ten(self) -> None:
        rng = np.random.default_rng(3)
        distances = []
        for _ in range(100):
            logits = rng.normal(-0.5, 1.8, 500)
            truth = probability(logits)
            kept = rng.random(500) < truth
            found = recalibrate((lo, Judgement(bool(k), 1.0)) for lo, k in zip(logits[:10], kept[:10], strict=True))
            distances.append(np.abs(probability([found.logit(logit) for logit in logits]) - truth).mean())
        assert np.mean(distances) < 0.05

    @settings(deadline=None)
    @given(st.lists(st.tuples(st.floats(-7, 7), st.booleans(), st.sampled_from([0.5, 1.0])), max_size=40), numbers)
    def test_the_order_of_answers_never_changes(self, said: list[tuple[float, bool, float]], logit: float) -> None:
        found = recalibrate((value, Judgement(right, count)) for value, right, count in said)
        assert found.logit(logit) < found.logit(logit + 0.1)

    @pytest.mark.parametrize(
        ("events", "expected"),
        [
            ((), None),
            ((Outcome("shown"),), None),
            ((Outcome("shown"), Outcome("rejected")), Judgement(False, 1.0)),
            ((Outcome("shown"), Outcome("accepted", 5)), Judgement(True, 0.5)),
            ((Outcome("partly", 5),), Judgement(False, 0.5)),
            ((Outcome("accepted"), Outcome("survived", None, 1.0, 60)), Judgement(True, 1.0)),
            ((Outcome("accepted"), Outcome("survived", None, 1.0, 60), Outcome("survived", None, 0.4, 600)),
             Judgement(False, 1.0)),
        ],
    )  # fmt: skip
    def test_what_users_do_says_whether_it_was_right(
        self, events: tuple[Outcome, ...], expected: Judgement | None
    ) -> None:
        assert judgement(events) == expected


FEATURES_TOLD = AnswerFeatures(
    0.5, 1.0, 0.6, 0.3, 0.64, math.exp(-0.2), math.exp(-1.5), 9, 31, 1, "fresh", 8, 1.0, "automatic", "python", "model",
    shown_tokens=7, first_entropy=0.5, similarity=0.4, repository=name_of("/shop"),
)  # fmt: skip


class TestBeliefs:
    def test_feedback_of_one_repository_moves_its_answers_only(self, tmp_path: Path) -> None:
        clues = clues_in(FEATURES_TOLD)
        store = FeedbackStore(feedback_file(tmp_path))
        for number in range(40):
            store.record_answer(str(number), FEATURES_TOLD)
            store.record(str(number), Outcome("rejected"))
        store.record_answer("of before", replace(FEATURES_TOLD, shown_tokens=None))
        store.record("of before", Outcome("accepted"))
        beliefs = Beliefs(default_calibration())
        assert not beliefs.knows("/shop")
        before = beliefs.of("/shop").in_text(clues)
        beliefs.learn(name_of("/shop"), store)
        store.close()
        assert beliefs.of("/shop").local.observations == 40
        assert beliefs.of("/shop").in_text(clues) < before
        assert beliefs.of("/other").in_text(clues) == before
        assert belief_about("/shop", tmp_path) == beliefs.of("/shop")
        beliefs.forget()
        assert beliefs.of("/shop").in_text(clues) == before

    def test_who_only_asks_makes_no_file(self, tmp_path: Path) -> None:
        assert belief_about("/shop", tmp_path).local == UNCHANGED
        assert not list(tmp_path.iterdir())

    def test_what_was_recorded_is_what_was_known(self) -> None:
        clues = clues_in(FEATURES_TOLD)
        assert clues is not None
        assert (clues.mean_log_probability, clues.least_log_probability) == pytest.approx((-0.2, -1.5))
        assert (clues.tokens, clues.characters, clues.similarity) == (7, 31, 0.4)


class TestReasons:
    def test_each_rule_is_told_with_its_numbers(self) -> None:
        assert reasons(0.4, CLUES, "x") == ()
        (unknown,) = reasons(0.4, replace(CLUES, sigma_n=0.75, sigma_inf=0.7), "x")
        assert unknown.kind == "unknown"
        assert "0.70" in unknown.text
        (unlearned,) = reasons(0.4, replace(CLUES, sigma_n=0.9), "x")
        assert unlearned.kind == "unlearned"
        (odd,) = reasons(0.4, replace(CLUES, least_log_probability=math.log(0.1)), "get")
        assert odd.kind == "ambiguous"
        assert "'get'" in odd.text
        (open_,) = reasons(0.4, replace(CLUES, first_entropy=2.5), "x")
        assert "12 ways" in open_.text

    def test_who_is_sure_or_silent_needs_no_excuse(self) -> None:
        poor = replace(CLUES, sigma_n=1.0, sigma_inf=1.0)
        assert reasons(0.9, poor, "x") == ()
        assert reasons(0.0, None, "") == ()


def made_up(seed: int, sigma_tells: float, repositories: int = 4, each: int = 150) -> list[fitting.Answered]:
    """Answers whose being right hangs on their joint probability, and on sigma as much as is said."""
    rng = np.random.default_rng(seed)
    found = []
    for name in range(repositories):
        for task in range(each):
            mean, sigma = -rng.exponential(0.25), rng.uniform(0.3, 0.9)
            clues = replace(
                CLUES, mean_log_probability=mean, least_log_probability=mean * 3, sigma_n=sigma, sigma_inf=sigma * 0.7
            )
            logit = 1.5 + 8 * mean - sigma_tells * (sigma - 0.6)
            found.append(fitting.Answered(f"repo {name}", str(task), clues, bool(rng.random() < probability(logit))))
    return found


class TestFitting:
    def test_the_ablation_says_where_sigma_adds(self) -> None:
        for tells, adds in ((8.0, True), (0.0, False)):
            answers = fitting.Answers(made_up(1, tells))
            by_name = {row.name: row for row in fitting.ablation(answers, 3.0, resamples=20)}
            assert (by_name["+ sigma"].step.low > 0) is adds
            assert set(by_name["+ sigma"].steps) == set(answers.repositories)

    def test_its_word_is_kept_on_repositories_it_has_not_seen(self) -> None:
        answers = fitting.Answers(made_up(2, 4.0, each=300))
        found = fitting.calibrate(
            answers, fitting.ALWAYS_KNOWN, model="a model", modes=["policy"], fitted_on="2026-11-21",
            origins=dict.fromkeys(answers.repositories, ("abc", "python")), penalty=3.0, resamples=20,
        )  # fmt: skip
        assert found.sheet.measures["calibration_error"].value < 0.06
        assert found.sheet.measures["auroc"].value > 0.75
        assert [source.answers for source in found.sheet.sources] == [300] * 4
        costs = [one.right_hidden for one in found.sheet.hiding]
        assert costs == sorted(costs)
        assert parsed(calibration.text_of(found), "a file") == found

    def test_one_repository_or_only_right_answers_are_too_few(self) -> None:
        some = made_up(3, 1.0)
        with pytest.raises(RecordsTooFew):
            fitting.Answers([one for one in some if one.repository == "repo 0"])
        with pytest.raises(RecordsTooFew, match="right"):
            fitting.Answers([replace(one, right=True) for one in some])

    def test_small_repositories_count_as_much_as_large_ones(self) -> None:
        some = made_up(4, 1.0)
        answers = fitting.Answers(some[:150] + some[150:160])
        counts = answers.counts(np.ones(160, dtype=bool))
        assert counts[:150].sum() == pytest.approx(counts[150:].sum())
        assert counts.mean() == pytest.approx(1.0)


def test_a_calibrator_needs_one_number_of_each_kind_a_feature() -> None:
    with pytest.raises(ValueError, match="one mean, scale and weight"):
        Calibrator(("a",), (0.0,), (1.0,), (), 0.0)
    assert isinstance(default_calibration(), Calibration)


def test_the_benchmark_fits_from_records_of_eval(tmp_path: Path) -> None:
    """benchmarks/calibrate.py, on made-up records: a header, what cannot be used, and answers of three repositories."""
    script = Path(__file__).parents[2] / "benchmarks" / "calibrate.py"
    rng = np.random.default_rng(5)
    files = []
    for name in ("a", "b", "c"):
        lines = [json.dumps({"header": {"repo": name, "commit": "f00", "model": "tiny"}})]
        for task in range(60):
            log_probabilities = list(-rng.exponential(0.4, 5))
            evidence = {
                "log_probabilities": log_probabilities, "first_entropy": None if task == 0 else 0.5, "sigma_0": 1.0,
                "sigma_n": 0.6, "sigma_inf": 0.4, "similarity": 0.5, "change": None, "base_text_same": True,
            }  # fmt: skip
            right = bool(rng.random() < math.exp(sum(log_probabilities) / 2))
            text = "" if task == 1 else "    return 1"
            record = {"repo": name, "task": str(task), "mode": "policy", "text": text, "language": "python"}
            lines.append(json.dumps(record | {"exact": right, "evidence": evidence}))
            lines.append(json.dumps(record | {"mode": "in-file", "exact": False, "evidence": evidence}))
        files.append(tmp_path / f"{name}.jsonl")
        files[-1].write_text("\n".join(lines))
    out = tmp_path / "calibration.json"
    arguments = [*map(str, files), "--mode", "policy", "--resamples", "20", "--penalty", "3", "--out", str(out)]
    run = subprocess.run([sys.executable, str(script), *arguments], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert "174 answers" in run.stdout
    assert "adds nothing in: a, b, c" in run.stdout
    found = parsed(out.read_text(), "out")
    assert [(source.repository, source.commit, source.answers) for source in found.sheet.sources] == [
        ("a", "f00", 58), ("b", "f00", 58), ("c", "f00", 58),
    ]  # fmt: skip
    assert (found.sheet.model, found.sheet.modes) == ("tiny", ("policy",))
    assert "change" not in found.calibrator.features
    files[0].write_text("{}")
    broken = subprocess.run([sys.executable, str(script), *arguments], capture_output=True, text=True, check=False)
    assert broken.returncode == 1
    assert "line 1, is no record" in broken.stderr
