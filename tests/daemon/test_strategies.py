"""What each strategy promises: bounds, limits, duplicates, where it stops, and kernels that are none."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vicinal_daemon.errors import InvalidKernel
from vicinal_daemon.select import (
    Kernel,
    Posterior,
    Strategy,
    blend,
    checked,
    dense_kernel,
    irreducible_variance,
    lexical_kernel,
    mixed_kernel,
    select,
    term_counts,
    weighted,
)
from vicinal_daemon.select.kernel import from_vectors

CHOOSING: tuple[Strategy, ...] = ("sift", "nn", "mmr", "uncertainty", "random")


def unit_rows(seed: int, count: int, dimensions: int) -> np.ndarray:
    rows = np.random.default_rng(seed).normal(size=(count, dimensions))
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def random_kernel(seed: int, count: int, dimensions: int, prompts: int = 1) -> Kernel:
    rows = unit_rows(seed, count + prompts, dimensions)
    return from_vectors(rows[prompts:], rows[:prompts])


kernels = st.builds(random_kernel, st.integers(0, 10_000), st.integers(1, 30), st.integers(2, 40), st.integers(1, 3))
noises = st.floats(0.01, 10.0)
words = st.lists(st.sampled_from("read write file socket open close the lock".split()), max_size=9).map(" ".join)


@given(kernels, noises, st.sampled_from(CHOOSING), st.integers(0, 9))
def test_every_strategy_reports_the_same_posterior(kernel: Kernel, noise: float, strategy: Strategy, seed: int) -> None:
    chosen = select(strategy, kernel, limit=12, noise=noise, seed=seed)
    posterior = Posterior(kernel, noise)
    assert chosen.variances == pytest.approx([posterior.variance, *map(posterior.observe, chosen.picks)], abs=1e-12)
    assert all(after <= before + 1e-12 for before, after in zip(chosen.variances, chosen.variances[1:], strict=False))
    assert chosen.variances[-1] >= chosen.irreducible - 1e-8


@given(kernels, st.sampled_from(["nn", "mmr", "random"]))
def test_these_take_each_candidate_once(kernel: Kernel, strategy: Strategy) -> None:
    assert sorted(select(strategy, kernel, limit=99, noise=0.1).picks) == list(range(len(kernel)))


@given(st.integers(0, 10_000), st.integers(1, 30), noises)
def test_sift_starts_with_the_nearest_neighbour(seed: int, count: int, noise: float) -> None:
    """Of unit vectors none of which points away, and of one prompt."""
    rows = np.abs(unit_rows(seed, count + 1, 8))
    kernel = from_vectors(rows[1:], rows[:1])
    nearest = int(kernel.to_prompts[:, 0].argmax())
    assert select("sift", kernel, limit=1, noise=noise).picks == (nearest,)
    assert select("mmr", kernel, limit=1, noise=noise).picks == (nearest,)


@given(st.integers(0, 10_000), st.integers(2, 20))
def test_with_much_noise_sift_repeats_the_nearest_and_with_hardly_any_nothing(seed: int, count: int) -> None:
    rows = np.abs(unit_rows(seed, count + 1, 2 * count + 2))
    kernel = from_vectors(rows[1:], rows[:1])
    assert set(select("sift", kernel, limit=8, noise=1e9).picks) == {int(kernel.to_prompts[:, 0].argmax())}
    # A second look tells a share noise / (noise + V_jj) of the first one: with noise -> 0, nothing.
    picks = select("sift", kernel, limit=count, noise=1e-9).picks
    fresh = [n for n, pick in enumerate(picks) if pick not in picks[:n]]
    repeated = [n for n in range(len(picks)) if n not in fresh]
    assert not repeated or repeated[0] > fresh[-1]


@given(st.integers(0, 10_000), st.integers(2, 12), noises, st.integers(1, 10))
def test_a_duplicate_is_worth_one_more_look_at_the_original(seed: int, count: int, noise: float, limit: int) -> None:
    rows = np.abs(unit_rows(seed, count + 1, 6))
    single = from_vectors(rows[1:], rows[:1])
    doubled = from_vectors(np.vstack([rows[1:], rows[1:2]]), rows[:1])
    once = select("sift", single, limit=limit, noise=noise)
    twice = select("sift", doubled, limit=limit, noise=noise)
    assert twice.variances == pytest.approx(once.variances, abs=1e-9)
    posteriors = Posterior(single, noise), Posterior(doubled, noise)
    looked = [posteriors[0].observe(0), posteriors[0].observe(0)]
    assert [posteriors[1].observe(0), posteriors[1].observe(count)] == pytest.approx(looked, abs=1e-12)


def test_without_repeats_duplicates_share_the_picks_that_repeats_would_get() -> None:
    rows = unit_rows(4, 6, 3)
    repeats = select("sift", from_vectors(rows[1:], rows[:1]), limit=10, noise=5.0).picks
    copies = from_vectors(np.repeat(rows[1:], 10, axis=0), rows[:1])
    shared = select("sift", copies, limit=10, noise=5.0, at_most=1).picks
    assert [pick // 10 for pick in shared] == list(repeats)
    assert len(set(repeats)) < len(repeats)


@given(st.integers(0, 10_000), st.integers(1, 8), st.integers(2, 12), st.integers(1, 3))
def test_the_irreducible_variance_is_the_limit_of_many_observations(
    seed: int, count: int, dimensions: int, prompts: int
) -> None:
    kernel = random_kernel(seed, count, dimensions, prompts)
    # n observations with noise l are one with l / n.
    posterior = Posterior(kernel, noise=1e-9)
    for candidate in range(count):
        posterior.observe(candidate)
    assert posterior.variance == pytest.approx(irreducible_variance(kernel), abs=1e-3)


@given(kernels, noises, st.integers(1, 30))
def test_many_observations_are_one_with_less_noise(kernel: Kernel, noise: float, times: int) -> None:
    many, one = Posterior(kernel, noise), Posterior(kernel, noise / times)
    for _ in range(times):
        many.observe(0)
    one.observe(0)
    assert many.variance == pytest.approx(one.variance, abs=1e-10)
    assert many.candidate_variances == pytest.approx(one.candidate_variances, abs=1e-10)


@given(kernels, noises, st.sampled_from(CHOOSING), st.floats(0.05, 10.0))
def test_the_adaptive_stop_takes_exactly_the_steps_that_are_worth_it(
    kernel: Kernel, noise: float, strategy: Strategy, alpha: float
) -> None:
    """n is the largest for which sigma_i <= 1 / (alpha i) holds for all i up to it."""
    every = select(strategy, kernel, limit=25, noise=noise)
    sigmas = [math.sqrt(variance) for variance in every.variances]
    worth = [sigma <= 1 / (alpha * n) for n, sigma in enumerate(sigmas[1:], start=1)]
    expected = worth.index(False) if False in worth else len(worth)
    assert every.worthwhile(alpha) == expected
    assert every.worthwhile(0.0) == len(every.picks)
    assert select(strategy, kernel, limit=expected, noise=noise).worthwhile(alpha) == expected


def test_the_adaptive_stop_takes_as_many_steps_as_the_prompt_is_hard() -> None:
    """A larger alpha stops earlier; alpha = 1 keeps the first pick and no other while sigma_2 is above one half."""
    lengths = {
        alpha: [
            select("sift", random_kernel(seed, 200, 64), limit=50, noise=0.1).worthwhile(alpha) for seed in range(10)
        ]
        for alpha in (0.1, 0.25, 0.5, 1.0)
    }
    means = [float(np.mean(found)) for found in lengths.values()]
    assert means == sorted(means, reverse=True)
    assert [round(mean) for mean in means] == [26, 5, 2, 1]
    assert set(lengths[1.0]) == {1}


@given(kernels, noises)
def test_uncertainty_sampling_takes_what_is_least_known_whatever_the_prompt(kernel: Kernel, noise: float) -> None:
    picks: list[int] = []
    for pick in select("uncertainty", kernel, limit=8, noise=noise).picks:
        posterior = Posterior(kernel, noise)
        for earlier in picks:
            posterior.observe(earlier)
        assert posterior.candidate_variances[pick] == pytest.approx(posterior.candidate_variances.max(), abs=1e-8)
        picks.append(pick)
    unlike = Kernel(kernel.among, np.zeros_like(kernel.to_prompts), kernel.prompts)
    assert select("uncertainty", unlike, limit=8, noise=noise).picks == tuple(picks)


@given(kernels, st.integers(0, 99))
def test_random_is_an_order_of_its_seed_alone(kernel: Kernel, seed: int) -> None:
    chosen = select("random", kernel, limit=99, noise=0.1, seed=seed).picks
    assert chosen == select("random", kernel, limit=99, noise=5.0, seed=seed).picks
    assert select("random", kernel, limit=3, noise=0.1, seed=seed).picks == chosen[:3]


@given(kernels, st.floats(0.0, 1.0))
def test_mmr_trades_nearness_for_novelty(kernel: Kernel, balance: float) -> None:
    picks = select("mmr", kernel, limit=6, noise=0.1, balance=balance).picks
    near = kernel.to_prompts.mean(axis=1)
    for n in range(1, len(picks)):
        worth = balance * near - (1 - balance) * kernel.among[:, list(picks[:n])].max(axis=1)
        rest = [candidate for candidate in range(len(kernel)) if candidate not in picks[:n]]
        assert worth[picks[n]] == pytest.approx(worth[rest].max(), abs=1e-8)
    assert select("mmr", kernel, limit=6, noise=0.1, balance=1.0).picks == select("nn", kernel, limit=6, noise=1).picks


@given(kernels)
def test_kernels_of_vectors_pass_the_check(kernel: Kernel) -> None:
    assert checked(kernel) is kernel
    assert checked(weighted(kernel, np.linspace(0, 1, len(kernel))))


@given(
    st.integers(0, 10_000),
    st.lists(words, min_size=1, max_size=14),
    st.lists(words, min_size=1, max_size=3),
    st.floats(0, 1),
)
def test_all_our_kernels_and_their_blends_are_positive_semi_definite(
    seed: int, texts: list[str], prompts: list[str], share: float
) -> None:
    """Jointly with each prompt, and with more candidates than dimensions or fewer."""
    told, asked = [term_counts(text) for text in texts], [term_counts(text) for text in prompts]
    vectors = np.random.default_rng(seed).normal(0.3, 1.0, size=(len(texts) + len(prompts), 1 + seed % 9))
    vectors = vectors.astype(np.float32)
    lexical, dense = lexical_kernel(told, asked), dense_kernel(vectors[: len(texts)], vectors[len(texts) :])
    for kernel in (
        lexical,
        dense,
        blend(lexical, dense, share),
        weighted(blend(lexical, dense, share), np.linspace(0, 1, len(texts))),
        mixed_kernel(told, vectors[: len(texts)], asked, vectors[len(texts) :]),
    ):
        assert checked(kernel) is kernel
        assert irreducible_variance(kernel) <= kernel.prompts.mean() + 1e-9


def test_what_points_away_from_the_prompt_tells_nothing() -> None:
    candidates = np.array([[1.0, 0.2], [-1.0, -0.2], [0.9, -0.3]], np.float32)
    kernel = dense_kernel(candidates, np.array([[1.0, 0.0]], np.float32))
    assert kernel.to_prompts[1, 0] == 0.0
    assert 1 not in select("sift", kernel, limit=9, noise=0.1).picks


def test_what_is_no_kernel_is_refused() -> None:
    clamped = Kernel(np.array([[1.0, -1.0], [-1.0, 1.0]]), np.array([[1.0], [0.0]]), np.ones(1))
    lopsided = Kernel(np.array([[1.0, 0.5], [0.2, 1.0]]), np.zeros((2, 1)), np.ones(1))
    unreal = Kernel(np.array([[1.0, 2.0], [2.0, 1.0]]), np.zeros((2, 1)), np.ones(1))
    for kernel, said in ((clamped, "variance would fall"), (lopsided, "symmetric"), (unreal, "eigenvalue -1")):
        with pytest.raises(InvalidKernel, match=said) as caught:
            checked(kernel)
        assert caught.value.hint
    assert checked(Kernel(np.zeros((0, 0)), np.zeros((0, 1)), np.ones(1))) is not None
