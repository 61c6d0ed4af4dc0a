"""How claimed probabilities are judged: the measures against their definitions."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from vicinal_daemon.uncertainty.scoring import (
    auroc,
    brier,
    brier_skill,
    calibration_error,
    estimate,
    estimate_difference,
    hiding,
    reliability,
    right_lost,
    risk_area,
    risk_coverage,
)

Vector = NDArray[np.float64]
pairs = st.lists(st.tuples(st.integers(0, 20).map(lambda n: n / 20), st.booleans()), min_size=2, max_size=60)


def split(said: list[tuple[float, bool]]) -> tuple[Vector, Vector]:
    claimed, right = zip(*said, strict=True)
    return np.array(claimed), np.array(right, dtype=float)


@given(pairs)
def test_auroc_is_the_share_of_pairs_in_order(said: list[tuple[float, bool]]) -> None:
    claimed, right = split(said)
    ones, zeros = claimed[right > 0], claimed[right == 0]
    if not len(ones) or not len(zeros):
        assert np.isnan(auroc(claimed, right))
        return
    wins = (ones[:, None] > zeros).mean() + 0.5 * (ones[:, None] == zeros).mean()
    assert auroc(claimed, right) == pytest.approx(wins)
    assert auroc(claimed**3 / 2, right) == pytest.approx(wins)
    assert auroc(1 - claimed, right) == pytest.approx(1 - wins)


@given(pairs)
def test_skill_is_measured_against_the_average(said: list[tuple[float, bool]]) -> None:
    claimed, right = split(said)
    if right.min() == right.max():
        assert np.isnan(brier_skill(claimed, right))
        return
    assert brier_skill(np.full(len(right), right.mean()), right) == pytest.approx(0.0)
    assert brier_skill(right, right) == pytest.approx(1.0)
    assert brier_skill(claimed, right) <= 1.0
    assert brier(claimed, right) >= 0.0


@given(pairs, st.integers(1, 12))
def test_bins_hold_the_same_mass_and_all_answers(said: list[tuple[float, bool]], bins: int) -> None:
    claimed, right = split(said)
    found = reliability(claimed, right, bins)
    counts = [one.count for one in found]
    assert sum(counts) == len(said)
    assert max(counts) - min(counts) <= 1
    assert [one.claimed for one in found] == sorted(one.claimed for one in found)
    assert sum(one.right * one.count for one in found) == pytest.approx(right.sum())
    # By the triangle inequality: one bin hides no more than many.
    assert calibration_error(claimed, right, 1) <= calibration_error(claimed, right, bins) + 1e-12


def test_who_keeps_his_word_has_hardly_any_error() -> None:
    rng = np.random.default_rng(0)
    claimed = rng.random(50_000)
    right = (rng.random(50_000) < claimed).astype(float)
    assert calibration_error(claimed, right) < 0.01
    assert calibration_error(claimed**2, right) > 0.1


@given(pairs, st.randoms(use_true_random=False))
def test_risk_does_not_hang_on_the_order_of_equals(said: list[tuple[float, bool]], random: object) -> None:
    claimed, right = split(said)
    curve = risk_coverage(claimed, right)
    assert curve.coverage[-1] == 1.0
    assert curve.risk[-1] == pytest.approx(1 - right.mean())
    order = np.random.default_rng(len(said)).permutation(len(said))
    assert risk_area(claimed[order], right[order]) == pytest.approx(curve.area)
    assert risk_area(right, right) <= curve.area + 1e-12


@given(pairs, st.floats(0.01, 1))
def test_a_threshold_hides_what_was_asked_and_no_more_than_needed(said: list[tuple[float, bool]], share: float) -> None:
    claimed, right = split(said)
    found = hiding(claimed, right, share)
    wrong = claimed[right == 0]
    if len(wrong):
        assert found.wrong_hidden >= share - 1e-9
        assert found.wrong_hidden == pytest.approx((wrong < found.threshold).mean())
        lower = np.nextafter(found.threshold, 0) - 1e-9
        assert (wrong < lower).mean() < share
    if right.any():
        assert found.right_hidden == pytest.approx((claimed[right > 0] < found.threshold).mean() if len(wrong) else 0)


def test_hiding_half_of_the_wrong_ones_costs_little_where_claims_are_good() -> None:
    claimed = np.array([0.1, 0.2, 0.3, 0.6, 0.7, 0.25, 0.8, 0.9])
    right = np.array([0, 0, 0, 0, 1, 1, 1, 1.0])
    assert right_lost(claimed, right) == 0.0
    assert hiding(claimed, right, 0.75).right_hidden == 0.25


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000))
def test_intervals_hold_their_value_and_repeat(seed: int) -> None:
    rng = np.random.default_rng(seed)
    claimed = rng.random(80)
    right = (rng.random(80) < claimed).astype(float)
    groups = np.repeat(np.arange(40), 2).astype(float)
    found = estimate(brier, claimed, right, groups, seed=seed, resamples=200)
    assert found.low <= found.value <= found.high
    assert found == estimate(brier, claimed, right, groups, seed=seed, resamples=200)
    same = estimate_difference(brier, claimed, claimed, right, groups, seed=seed, resamples=50)
    assert (same.value, same.low, same.high) == (0.0, 0.0, 0.0)


def test_answers_of_one_task_are_drawn_together() -> None:
    """Copies of the same answers make nobody surer."""
    rng = np.random.default_rng(1)
    claimed = rng.random(60)
    right = (rng.random(60) < claimed).astype(float)
    alone = estimate(brier, claimed, right, seed=3, resamples=400)
    tasks = np.tile(np.arange(60), 5).astype(float)
    copied = estimate(brier, np.tile(claimed, 5), np.tile(right, 5), tasks, seed=3, resamples=400)
    assert copied.high - copied.low == pytest.approx(alone.high - alone.low, rel=0.01)
