"""Our SIFT against its authors' library, in one run on the same inputs: seconds a query, and are the picks the same?

K nearest candidates of each prompt are chosen from, N times. Measured are ours, from vectors to picks (with sigma_inf,
which the library does not compute), the library's public `Retriever`, which starts a DataLoader worker for each search,
and its exact path `VTL` alone in this process. On a busy machine believe the CPU time, which the worker's is part of.

    OMP_NUM_THREADS=1 python benchmarks/selection.py [--queries 40] [--candidates 200] [--picks 50] [--package rich]

Owns the comparison. Needs `activeft` and `faiss-cpu` (the dev dependencies).
"""

import argparse
import importlib.util
import resource
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import faiss
import numpy as np
import torch
from activeft import ActiveDataLoader
from activeft.acquisition_functions.vtl import VTL
from activeft.sift import Dataset, Retriever
from numpy.typing import NDArray

from vicinal_daemon.select import select
from vicinal_daemon.select.kernel import from_vectors
from vicinal_indexer.chunks import chunk
from vicinal_indexer.embed import StaticEmbedder

Rows = NDArray[np.float32]
Choose = Callable[[Rows, Rows], list[int]]


def embeddings(package: str) -> Rows:
    """(n, d): of the chunks of an installed package, each once, centred and of unit length."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise SystemExit(f"{package} is not installed")
    files = sorted(Path(spec.origin).parent.rglob("*.py"))
    texts = {found.text for file in files for found in chunk(file.name, file.read_text(encoding="utf-8"), "python")}
    return unit(np.unique(StaticEmbedder().embed(sorted(texts)).astype(np.float32), axis=0))


def unit(rows: Rows) -> Rows:
    centred = rows - rows.mean(axis=0)
    scaled: Rows = centred / np.linalg.norm(centred, axis=1, keepdims=True)
    return scaled


def ours(noise: float, picks: int) -> Choose:
    def choose(candidates: Rows, prompt: Rows) -> list[int]:
        kernel = from_vectors(candidates.astype(np.float64), prompt.astype(np.float64))
        return list(select("sift", kernel, limit=picks, noise=noise).picks)

    return choose


def library(noise: float, picks: int) -> Choose:
    """`Retriever.search` of the same K candidates; its index over them alone, so that both see the same."""

    def choose(candidates: Rows, prompt: Rows) -> list[int]:
        index = faiss.IndexFlatIP(candidates.shape[1])
        index.add(candidates)
        retriever = Retriever(index, llambda=noise, also_query_opposite=False)
        return [int(pick) for pick in retriever.search(prompt, N=picks, K=len(candidates))[1]]

    return choose


def exact_path(noise: float, picks: int, kind: torch.dtype) -> Choose:
    """`VTL` without the DataLoader's worker, in single or double precision."""

    def choose(candidates: Rows, prompt: Rows) -> list[int]:
        torch.set_default_dtype(kind)
        rule = VTL(target=torch.tensor(prompt, dtype=kind), noise_std=noise**0.5, num_workers=0)
        data = Dataset(torch.tensor(candidates, dtype=kind))
        chosen, _ = ActiveDataLoader(data, batch_size=picks, acquisition_function=rule).next()
        torch.set_default_dtype(torch.float32)
        return [int(pick) for pick in chosen]

    return choose


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--queries", type=int, default=40)
    parser.add_argument("--candidates", type=int, default=200)
    parser.add_argument("--picks", type=int, default=50)
    parser.add_argument("--noise", type=float, default=0.1)
    parser.add_argument("--package", default="rich")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # the library's, on large batches
    torch.set_num_threads(1)
    source = np.random.default_rng(options.seed)
    inputs = {
        f"chunks of {options.package}": embeddings(options.package),
        "random": unit(source.normal(size=(2000, 256)).astype(np.float32)),
    }
    titles = ["embeddings", "who", "p50 ms", "p95 ms", "times ours", "CPU p50 ms", "CPU p95 ms", "times ours"]
    titles += ["queries with the same picks", "same picks"]
    print(f"| {' | '.join(titles)} |\n|{'---|' * len(titles)}")
    for title, rows in inputs.items():
        rivals = {
            "ours": ours(options.noise, options.picks),
            "library, `Retriever`": library(options.noise, options.picks),
            "library, `VTL` in process": exact_path(options.noise, options.picks, torch.float32),
            "library, `VTL` in process, float64": exact_path(options.noise, options.picks, torch.float64),
        }
        seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in rivals}
        picked: dict[str, list[list[int]]] = {name: [] for name in rivals}
        for place in source.choice(len(rows), options.queries, replace=False):
            prompt, others = rows[place : place + 1], np.delete(rows, place, axis=0)
            nearest = np.ascontiguousarray(
                others[np.argsort(-(others @ prompt[0]), kind="stable")[: options.candidates]]
            )
            for name, choose in rivals.items():
                started = time.perf_counter(), cpu_seconds()
                picked[name].append(choose(nearest, prompt))
                seconds[name].append((time.perf_counter() - started[0], cpu_seconds() - started[1]))
        for name in rivals:
            middle, high = np.percentile(seconds[name], [50, 95], axis=0) * 1000
            times = middle / np.median(seconds["ours"], axis=0) / 1000
            whole = np.mean([a == b for a, b in zip(picked[name], picked["ours"], strict=True)])
            single = np.mean(np.array(picked[name]) == np.array(picked["ours"]))
            figures = " | ".join(f"{m:.1f} | {h:.1f} | {t:.1f}" for m, h, t in zip(middle, high, times, strict=True))
            print(f"| {title} | {name} | {figures} | {whole:.0%} | {single:.1%} |")


def cpu_seconds() -> float:
    """Of this process and of its children that have ended."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


if __name__ == "__main__":
    main()
