"""SIFT's arithmetic against its definition, and the strategies' promises."""

import doctest
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS, TfidfVectorizer

from vicinal_daemon.select import (
    Kernel,
    Posterior,
    blend,
    counts,
    dense_kernel,
    irreducible_variance,
    lexical_kernel,
    select,
    term_counts,
    weighted,
)
from vicinal_daemon.select.kernel import from_vectors
from vicinal_indexer.stop_words import STOP_WORDS
from vicinal_indexer.terms import subwords


def random_kernel(seed: int, count: int, dimensions: int) -> Kernel:
    rows = np.random.default_rng(seed).normal(size=(count + 1, dimensions))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return from_vectors(rows[1:], rows[:1])


def lexical(candidates: list[str], prompts: list[str]) -> Kernel:
    return lexical_kernel([term_counts(text) for text in candidates], [term_counts(text) for text in prompts])


def direct_variance(kernel: Kernel, picks: list[int], noise: float) -> float:
    """The definition: k(x*,x*) - k_n^T (K_n + noise I)^-1 k_n, solved afresh."""
    among: NDArray[np.float64] = kernel.among[np.ix_(picks, picks)] + noise * np.eye(len(picks))
    to_prompts = kernel.to_prompts[picks]
    reductions = (to_prompts * np.linalg.solve(among, to_prompts)).sum(axis=0)
    return float((kernel.prompts - reductions).mean())


kernels = st.builds(random_kernel, st.integers(0, 10_000), st.integers(1, 30), st.integers(2, 40))
noises = st.floats(0.01, 10.0)


@given(kernels, noises, st.data())
def test_rank_one_steps_agree_with_the_direct_solve(kernel: Kernel, noise: float, data: st.DataObject) -> None:
    picks = data.draw(st.lists(st.integers(0, len(kernel) - 1), min_size=1, max_size=12))
    posterior = Posterior(kernel, noise)
    for pick in picks:
        posterior.observe(pick)
    assert posterior.variance == pytest.approx(direct_variance(kernel, picks, noise), abs=1e-10)


@given(kernels, noises)
def test_each_pick_is_the_one_that_reduces_the_variance_most(kernel: Kernel, noise: float) -> None:
    picks: list[int] = []
    for pick in select("sift", kernel, limit=5, noise=noise).picks:
        best = min(direct_variance(kernel, [*picks, j], noise) for j in range(len(kernel)))
        picks.append(pick)
        assert direct_variance(kernel, picks, noise) == pytest.approx(best, abs=1e-9)


@given(kernels, noises, st.sampled_from(["sift", "nn"]))
def test_the_variance_never_rises_and_stays_above_the_irreducible(kernel: Kernel, noise: float, strategy: str) -> None:
    selection = select(strategy, kernel, limit=20, noise=noise)  # type: ignore[arg-type]
    falls = zip(selection.variances, selection.variances[1:], strict=False)
    assert all(after <= before + 1e-12 for before, after in falls)
    assert selection.variances[-1] >= selection.irreducible - 1e-8
    assert math.fsum(selection.shares) == pytest.approx(1.0 if selection.variances[0] > selection.variances[-1] else 0)


@given(kernels, noises)
def test_sift_leaves_no_more_uncertainty_than_nearest_neighbours_after_one_pick(kernel: Kernel, noise: float) -> None:
    sift, nearest = (select(s, kernel, limit=1, noise=noise) for s in ("sift", "nn"))  # type: ignore[arg-type]
    assert sift.variances[-1] <= nearest.variances[-1] + 1e-12


def test_the_first_pick_is_the_nearest_neighbour() -> None:
    kernel = lexical(["open a file", "close the socket", "open the file and read it"], ["open the file"])
    assert select("sift", kernel, limit=1, noise=0.1).picks == select("nn", kernel, limit=1, noise=0.1).picks


def test_a_question_of_two_parts_gets_evidence_for_both_where_neighbours_repeat_themselves() -> None:
    prompt = np.array([0.8, 0.6, 0.0])
    left, right = np.array([1.0, 0.0, 0.0]), np.array([0.0, 1.0, 0.0])
    kernel = from_vectors(np.stack([left, left, left, right]), prompt[None])
    assert 3 not in select("nn", kernel, limit=3, noise=0.1).picks
    assert set(select("sift", kernel, limit=2, noise=0.1).picks) == {0, 3}


def test_large_noise_repeats_the_nearest_neighbour() -> None:
    picks = select("sift", random_kernel(3, 20, 8), limit=6, noise=1e6).picks
    assert len(set(picks)) == 1


def test_observing_everything_without_end_reaches_the_irreducible_variance() -> None:
    kernel = random_kernel(1, count=5, dimensions=12)
    posterior = Posterior(kernel, noise=0.01)
    for _ in range(400):
        for candidate in range(5):
            posterior.observe(candidate)
    assert posterior.variance == pytest.approx(irreducible_variance(kernel), abs=1e-3)


def test_a_prompt_inside_the_candidates_span_has_no_irreducible_uncertainty() -> None:
    rows = np.eye(3)
    assert irreducible_variance(from_vectors(rows, np.array([[0.6, 0.8, 0.0]]))) == pytest.approx(0.0, abs=1e-12)


@given(kernels, st.sampled_from([0.0, 1e-9, 1e-5, 1e-3, 1.0]), st.integers(0, 3))
def test_the_irreducible_variance_is_the_distance_to_the_span(kernel: Kernel, apart: float, copies: int) -> None:
    twins = np.arange(len(kernel)).repeat(1 + copies)
    among = kernel.among[np.ix_(twins, twins)]
    among[np.diag_indices(len(twins))] += apart
    repeated = Kernel(among, kernel.to_prompts[twins], kernel.prompts)
    values, vectors = np.linalg.eigh(among)
    kept = values > values[-1] * 1e-9
    told = np.square(vectors[:, kept].T @ repeated.to_prompts) / values[kept, None]
    expected = float(np.maximum(0.0, repeated.prompts - told.sum(axis=0)).mean())
    noise = 1e-12 * among.max()  # that it is taken at: a direction of little length counts less by noise / value
    slack = 1e-7 + float((told * noise / values[kept, None]).sum(axis=0).mean())  # and rounding times K's condition
    assert irreducible_variance(repeated) == pytest.approx(expected, abs=slack)


def test_the_adaptive_stop_ends_when_more_is_not_worth_it() -> None:
    kernel = random_kernel(0, 100, 50)
    count = select("sift", kernel, limit=50, noise=0.1).worthwhile(0.25)
    assert 0 < count < 50
    assert select("sift", kernel, limit=count, noise=0.1).sigma_n <= 1 / (0.25 * count)
    one_more = select("sift", kernel, limit=count + 1, noise=0.1)
    assert one_more.sigma_n > 1 / (0.25 * (count + 1))


def test_nothing_related_means_nothing_is_picked() -> None:
    kernel = lexical(["alpha beta", "gamma delta"], ["entirely other words"])
    selection = select("sift", kernel, limit=5, noise=0.1)
    assert selection.picks == ()
    assert selection.sigma_0 == selection.sigma_n == selection.sigma_inf == 1.0


def test_no_candidates_and_no_words_are_answered_with_full_uncertainty() -> None:
    assert select("sift", lexical([], ["anything"]), limit=5, noise=0.1).irreducible == 1.0
    assert select("nn", lexical(["1 2 3"], ["4 5"]), limit=0, noise=0.1).variances == (1.0,)


@given(st.lists(st.text(max_size=60), max_size=12), st.text(max_size=60))
def test_the_lexical_kernel_is_positive_semi_definite(texts: list[str], prompt: str) -> None:
    kernel = lexical(texts, [prompt])
    assert not len(kernel) or np.linalg.eigvalsh(kernel.among)[0] > -1e-9
    assert (kernel.to_prompts >= 0).all()


wordy = st.lists(st.sampled_from("read write file socket open close λ straße".split()), max_size=9).map(" ".join)


@given(st.lists(wordy | st.text(max_size=40), max_size=12), st.lists(wordy, min_size=1, max_size=3))
def test_the_lexical_kernel_is_that_of_scikit_learn(texts: list[str], prompts: list[str]) -> None:
    kernel = lexical(texts, prompts)
    words = [subwords(text) for text in [*texts, *prompts]]
    expected = np.zeros((len(words), len(words)))
    if any(words):
        rows = TfidfVectorizer(analyzer=iter, sublinear_tf=True).fit_transform(words)
        expected = (rows @ rows.T).toarray()
    count = len(texts)
    assert np.allclose(kernel.among, expected[:count, :count], rtol=0, atol=1e-9)
    assert np.allclose(kernel.to_prompts, expected[:count, count:], rtol=0, atol=1e-9)


def test_the_stop_words_are_those_of_scikit_learn() -> None:
    assert STOP_WORDS == ENGLISH_STOP_WORDS


def test_counting_words_example() -> None:
    assert doctest.testmod(counts).failed == 0


def test_a_kernel_of_the_wrong_shape_or_with_nan_is_refused() -> None:
    with pytest.raises(ValueError, match="2 candidates"):
        Kernel(np.eye(3), np.zeros((2, 1)), np.ones(1))
    with pytest.raises(ValueError, match="finite"):
        Kernel(np.eye(1), np.array([[np.nan]]), np.ones(1))
    with pytest.raises(ValueError, match="positive"):
        Posterior(Kernel(np.eye(1), np.ones((1, 1)), np.ones(1)), noise=0.0)


@given(st.integers(0, 10_000), st.integers(1, 20), noises)
def test_several_prompts_are_judged_by_the_mean_of_their_variances(seed: int, count: int, noise: float) -> None:
    rows = np.random.default_rng(seed).normal(size=(count + 3, 8))
    both = from_vectors(rows[3:], rows[:3])
    picks = list(select("sift", both, limit=6, noise=noise).picks)
    alone = [direct_variance(from_vectors(rows[3:], rows[p : p + 1]), picks, noise) for p in range(3)]
    assert direct_variance(both, picks, noise) == pytest.approx(float(np.mean(alone)), abs=1e-8)
    assert select("sift", both, limit=6, noise=noise).variances[-1] == pytest.approx(float(np.mean(alone)), abs=1e-8)


@given(kernels, noises, st.integers(1, 3))
def test_repeats_can_be_bounded(kernel: Kernel, noise: float, at_most: int) -> None:
    picks = select("sift", kernel, limit=60, noise=noise, at_most=at_most).picks
    assert all(picks.count(pick) <= at_most for pick in picks)
    assert len(picks) == min(60, at_most * len(kernel))


@given(st.integers(0, 1_000), st.floats(0, 1))
def test_a_blend_of_kernels_is_positive_semi_definite(seed: int, share: float) -> None:
    vectors = np.random.default_rng(seed).normal(size=(12, 6)).astype(np.float32)
    texts = [f"read file {number} of {seed}" for number in range(10)]
    kernel = blend(lexical(texts, ["read", "file"]), dense_kernel(vectors[:10], vectors[10:]), share)
    assert np.linalg.eigvalsh(kernel.among)[0] > -1e-9
    assert kernel.to_prompts.shape == (10, 2)


@given(kernels, noises, st.floats(0.1, 1.0))
def test_a_smaller_weight_is_a_noisier_observation(kernel: Kernel, noise: float, weight: float) -> None:
    scaled = weighted(kernel, np.full(len(kernel), weight))
    assert direct_variance(scaled, [0], noise) == pytest.approx(direct_variance(kernel, [0], noise / weight**2))
