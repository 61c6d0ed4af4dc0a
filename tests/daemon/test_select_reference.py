"""SIFT's picks are those of its authors' library, by its exact path: `VTL`, one query, one thread, in this process."""

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from activeft import ActiveDataLoader
from activeft.acquisition_functions.vtl import VTL
from activeft.sift import Dataset
from numpy.typing import NDArray

from vicinal_daemon.select import dense_kernel, select
from vicinal_daemon.select.kernel import from_vectors
from vicinal_indexer.chunks import chunk
from vicinal_indexer.embed import StaticEmbedder

Rows = NDArray[np.float64]


@pytest.fixture(autouse=True)
def double_precision() -> Iterator[None]:
    """The library makes its own identity matrix, of the default type; in single precision near ties go either way."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


def unit(rows: Rows) -> Rows:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def reference(candidates: Rows, prompts: Rows, count: int, noise: float) -> tuple[list[int], Rows]:
    """(picks, the variance after each): the library hands back minus the sum over the prompts."""
    rule = VTL(target=torch.tensor(prompts), noise_std=noise**0.5, num_workers=0)
    loader = ActiveDataLoader(Dataset(torch.tensor(candidates)), batch_size=count, acquisition_function=rule)
    picks, values = loader.next()
    return picks.tolist(), -values.numpy() / len(prompts)


@pytest.fixture(scope="module")
def real() -> Rows:
    """Embeddings of the chunks of an installed package, centred and of unit length, each once."""
    spec = importlib.util.find_spec("rich")
    assert spec is not None
    assert spec.origin is not None
    files = sorted(Path(spec.origin).parent.glob("*.py"))[:40]
    texts = [found.text for file in files for found in chunk(file.name, file.read_text(encoding="utf-8"), "python")]
    vectors = np.unique(StaticEmbedder().embed(sorted(set(texts))).astype(np.float64), axis=0)
    return unit(vectors - vectors.mean(axis=0))


@pytest.mark.parametrize("noise", [0.01, 0.1, 1.0, 10.0])
@pytest.mark.parametrize("prompts", [1, 3])
def test_picks_and_variances_of_random_vectors_are_the_library_s(noise: float, prompts: int) -> None:
    rows = unit(np.random.default_rng(prompts).normal(size=(120 + prompts, 24)))
    ours = select("sift", from_vectors(rows[prompts:], rows[:prompts]), limit=30, noise=noise)
    picks, variances = reference(rows[prompts:], rows[:prompts], 30, noise)
    assert list(ours.picks) == picks
    assert ours.variances[1:] == pytest.approx(variances, abs=1e-10)


@pytest.mark.parametrize("noise", [0.01, 0.1, 1.0])
@pytest.mark.parametrize("place", [0, 100, 300])
def test_picks_and_variances_of_real_embeddings_are_the_library_s(real: Rows, noise: float, place: int) -> None:
    prompt, others = real[place : place + 1], np.delete(real, place, axis=0)
    nearest = others[np.argsort(-(others @ prompt[0]))[:200]]
    ours = select("sift", from_vectors(nearest, prompt), limit=50, noise=noise)
    picks, variances = reference(nearest, prompt, 50, noise)
    assert list(ours.picks) == picks
    assert ours.variances[1:] == pytest.approx(variances, abs=1e-10)


def test_the_dense_kernel_is_the_library_s_where_nothing_points_away(real: Rows) -> None:
    """Ours leaves out what points away from the prompt; of what is left the choice is the same."""
    prompt, others = real[:1], real[1:151]
    kernel = dense_kernel(others.astype(np.float32), prompt.astype(np.float32))
    told = np.flatnonzero(kernel.to_prompts[:, 0] > 0)
    centred = unit(
        np.vstack([prompt, others]).astype(np.float32).astype(np.float64) - others.astype(np.float32).mean(0)
    )
    picks, _ = reference(centred[1:][told], centred[:1], 20, 0.1)
    assert list(select("sift", kernel, limit=20, noise=0.1).picks) == [int(told[pick]) for pick in picks]
