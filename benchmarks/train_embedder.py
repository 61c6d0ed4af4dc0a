"""Train the word vectors of the default embedder: `python benchmarks/train_embedder.py --help`.

A text is the sum of log(1 + count) * E[word] over its words; E is learned so that a function's documentation is nearest
to its code, the first half of a function to its second half, and a chunk to the one after it (InfoNCE with in-batch
negatives, van den Oord et al. 2018; half of the negatives come from the same package, which makes them hard).

The data are packages that permit reuse, as wheels or npm tarballs in one folder; `docs/dependencies.md` names them.
"""

import argparse
import email
import io
import json
import random
import re
import sysconfig
import tarfile
import time
import zipfile
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from hashlib import blake2b
from itertools import pairwise
from pathlib import Path
from typing import Self
from zlib import crc32

import numpy as np
import torch
from functions import Function, functions, sources
from numpy.typing import NDArray
from torch.nn import functional

from vicinal_indexer.chunks import chunk
from vicinal_indexer.embed.static import UNKNOWN_ROWS, unknown_vectors
from vicinal_indexer.languages import detect
from vicinal_indexer.terms import subwords
from vicinal_indexer.types import FloatArray, digest

DOC, HALF, NEXT = range(3)
SHARE = {DOC: 0.7, HALF: 0.2, NEXT: 0.1}
"""How often a batch holds pairs of a kind."""

MAX_PAIRS = 4_000
"""Of each kind and package, so that no package is most of the data."""

BLOCK = 256
"""Pairs of one package that stand together in a batch."""

_PERMISSIVE = re.compile(r"MIT|BSD|Apache|PSF|Python Software Foundation|ISC|Zlib|Unlicense|0BSD|HPND|Biopython", re.I)
_COPYLEFT = re.compile(r"GPL|General Public|Mozilla|MPL|EPL|Eclipse|CC-BY-SA|non-?commercial", re.I)

Pair = tuple[int, list[str], list[str]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--packages", type=Path, required=True, help="folder of wheels and npm tarballs to learn from")
    parser.add_argument("--without", type=Path, required=True, help="folder of packages that must not be learned from")
    parser.add_argument("--out", type=Path, required=True, help="the file to write")
    parser.add_argument("--cache", type=Path, help="keep the extracted pairs in this file, or use those in it")
    parser.add_argument("--words", type=int, default=16_000)
    parser.add_argument("--dimensions", type=int, default=192)
    parser.add_argument("--epochs", type=float, default=8)
    parser.add_argument("--batch", type=int, default=2_048)
    parser.add_argument("--rate", type=float, default=0.01)
    parser.add_argument("--temperature", type=float, default=0.035)
    parser.add_argument("--dropout", type=float, default=0.1, help="share of words left out of each text of a batch")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=1, help="processes that read, threads that learn")
    given = parser.parse_args()
    torch.set_num_threads(given.workers)
    torch.manual_seed(given.seed)
    if given.cache is not None and given.cache.exists():
        data = Data.load(given.cache)
    else:
        data = extract(given.packages, given.without, given.workers)
        if given.cache is not None:
            data.save(given.cache)
    vectors, unknown = train(data, given)
    packed = pack(data.words[: given.words], vectors, unknown)
    given.out.write_bytes(packed)
    print(f"{given.out}: {len(vectors):,} words, {len(packed) / 1e6:.2f} MB, digest {blake2b(packed).hexdigest()[:12]}")


@dataclass(frozen=True, slots=True)
class Data:
    """Pairs of texts as word numbers: text t is `ids[starts[t]:starts[t + 1]]`, and pair p is texts 2p and 2p + 1."""

    words: list[str]
    """The word of each number, the most frequent first."""
    ids: NDArray[np.int32]
    counts: NDArray[np.uint16]
    starts: NDArray[np.int64]
    kinds: NDArray[np.uint8]
    packages: NDArray[np.int32]

    def save(self, path: Path) -> None:
        arrays = {name: getattr(self, name) for name in ("ids", "counts", "starts", "kinds", "packages")}
        np.savez(path, words=np.frombuffer("\n".join(self.words).encode(), np.uint8), **arrays)

    @classmethod
    def load(cls, path: Path) -> Self:
        with np.load(path, allow_pickle=False) as stored:
            words = stored["words"].tobytes().decode().split("\n")
            return cls(words, *(stored[name] for name in ("ids", "counts", "starts", "kinds", "packages")))


def extract(packages: Path, without: Path, workers: int) -> Data:
    """Pairs of every package that permits reuse, and of the standard library; a line is printed for each."""
    forbidden = {mark for place in sorted(without.iterdir()) for f in _functions(place) for mark in fingerprints(f)}
    places = [Path(sysconfig.get_path("stdlib")), *sorted(packages.iterdir())]
    numbers: dict[str, int] = {}
    frequency: Counter[int] = Counter()
    ids, counts, starts, kinds, owners = array("i"), array("H"), array("q", [0]), array("B"), array("i")
    with ProcessPoolExecutor(workers) as pool:
        for package, (line, pairs) in enumerate(pool.map(package_pairs, places, [forbidden] * len(places))):
            print(line, flush=True)
            seen: Counter[int] = Counter()
            for kind, *texts in pairs:
                kinds.append(kind)
                owners.append(package)
                for text in texts:
                    for word, count in Counter(text).items():
                        number = numbers.setdefault(word, len(numbers))
                        ids.append(number)
                        counts.append(min(count, 65_535))
                        seen[number] += 1
                    starts.append(len(ids))
            # The root keeps one package's private words from the vocabulary.
            frequency.update({number: 1 + int(count**0.5) for number, count in seen.items()})
    order = np.array([number for number, _ in frequency.most_common()], np.int32)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    spelt = list(numbers)
    return Data(
        [spelt[number] for number in order],
        rank[np.frombuffer(ids, np.int32)],
        np.frombuffer(counts, np.uint16),
        np.frombuffer(starts, np.int64),
        np.frombuffer(kinds, np.uint8),
        np.frombuffer(owners, np.int32),
    )


def _functions(place: Path) -> Iterator[Function]:
    for path, text in sources(place):
        yield from functions(path, text)


def fingerprints(function: Function) -> set[str]:
    """What two copies of a function share: its code whatever the spacing, and its summary if that is a sentence."""
    texts = [function.code, function.summary] if len(function.summary.split()) >= 5 else [function.code]
    return {digest(" ".join(subwords(text))) for text in texts}


def licence(place: Path) -> tuple[str, str]:
    """(package==version, what the package says of its licence)."""
    if place.suffix == ".whl":
        with zipfile.ZipFile(place) as wheel:
            name = next(member for member in wheel.namelist() if member.endswith(".dist-info/METADATA"))
            metadata = email.message_from_bytes(wheel.read(name))
        said = [str(metadata.get("License-Expression", "")), str(metadata.get("License", ""))[:60].split("\n")[0]]
        said += [str(c).split("::")[-1] for c in metadata.get_all("Classifier", []) if str(c).startswith("License")]
        return f"{metadata['Name']}=={metadata['Version']}", "; ".join(dict.fromkeys(s.strip() for s in said if s))
    if place.suffix == ".tgz":
        with tarfile.open(place) as tar:
            member = next(entry for entry in tar if entry.name.count("/") == 1 and entry.name.endswith("/package.json"))
            stream = tar.extractfile(member)
            assert stream is not None  # noqa: S101 - a regular file has one
            manifest = json.load(stream)
        return f"{manifest['name']}=={manifest['version']}", str(manifest.get("license", ""))
    return f"python=={sysconfig.get_python_version()}", "PSF-2.0"


def package_pairs(place: Path, forbidden: set[str]) -> tuple[str, list[Pair]]:
    """A line about the package, and its pairs: none if its licence is not plainly permissive."""
    name, said = licence(place)
    if not _PERMISSIVE.search(said) or _COPYLEFT.search(said):
        return f"- {name}: left out ({said})", []
    chosen = random.Random(name)  # noqa: S311 - a reproducible sample
    files = list(sources(place))
    chosen.shuffle(files)
    pairs: dict[int, list[Pair]] = defaultdict(list)
    known: set[str] = set()
    for path, text in files:
        if len(pairs[DOC]) < MAX_PAIRS:
            for function in functions(path, text):
                marks = fingerprints(function)
                if not marks & known and not marks & forbidden:
                    known |= marks
                    for pair in _function_pairs(function):
                        pairs[pair[0]].append(pair)
        if len(pairs[NEXT]) < MAX_PAIRS // 4:
            pieces = [subwords(f"{path}\n{c.symbol}\n{c.text}") for c in chunk(path, text, detect(path, text[:200]))]
            pairs[NEXT] += [(NEXT, first, second) for first, second in pairwise(pieces)]
    result = [pair for kind in sorted(pairs) for pair in pairs[kind][:MAX_PAIRS]]
    return (
        f"- {name} ({said}): {len(pairs[DOC])} documented, {len(pairs[HALF])} halved, {len(pairs[NEXT])} next",
        result,
    )


def _function_pairs(function: Function) -> Iterator[Pair]:
    name = f"{function.path}\n{function.symbol}"
    if len(function.summary.split()) >= 3 and function.lines >= 2:
        yield DOC, subwords(function.summary), subwords(f"{name}\n{function.code}")
    if function.lines >= 8:
        lines = function.code.split("\n")
        first, second = "\n".join(lines[: len(lines) // 2]), "\n".join(lines[len(lines) // 2 :])
        yield HALF, subwords(f"{name}\n{first}"), subwords(second)


class Texts:
    """Batches of texts as what `EmbeddingBag` takes."""

    def __init__(self, data: Data, words: int) -> None:
        spelt = np.array([crc32(word.encode()) % UNKNOWN_ROWS for word in data.words])
        rows = np.where(np.arange(len(data.words)) < words, np.arange(len(data.words)), words + spelt)
        self._rows = rows[data.ids]
        self._weights = np.log1p(data.counts, dtype=np.float32)
        self._starts = data.starts

    def take(self, texts: NDArray[np.int64], dropout: float, rng: np.random.Generator) -> list[torch.Tensor]:
        """(rows, offsets, weights) of these texts, without a share of their words."""
        firsts = self._starts[texts]
        lengths = self._starts[texts + 1] - firsts
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        places = np.arange(offsets[-1]) + np.repeat(firsts - offsets[:-1], lengths)
        weights = self._weights[places] * (rng.random(len(places)) >= dropout)
        arrays = (self._rows[places], offsets[:-1], weights.astype(np.float32))
        return [torch.from_numpy(np.ascontiguousarray(a)) for a in arrays]


def batches(data: Data, size: int, rng: np.random.Generator) -> Iterator[NDArray[np.int64]]:
    """Pair numbers without end: each batch of one kind, in blocks of one package each."""
    blocks: dict[int, list[NDArray[np.int64]]] = {}
    while True:
        kind = int(rng.choice(list(SHARE), p=list(SHARE.values())))
        waiting = blocks.setdefault(kind, [])
        if len(waiting) < size // BLOCK:
            shuffled = rng.permutation(np.flatnonzero(data.kinds == kind))
            shuffled = shuffled[np.argsort(data.packages[shuffled], kind="stable")]
            cut = [shuffled[at : at + BLOCK] for at in range(int(rng.integers(BLOCK)), len(shuffled), BLOCK)]
            waiting[:] = [cut[place] for place in rng.permutation(len(cut))]
        yield np.concatenate([waiting.pop() for _ in range(size // BLOCK)])


def train(data: Data, given: argparse.Namespace) -> tuple[FloatArray, float]:
    """(words, dimensions) vectors, and the length of those of unknown words."""
    rng = np.random.default_rng(given.seed)
    texts = Texts(data, given.words)
    containing = np.bincount(data.ids, minlength=len(data.words))[: given.words]
    rarity = torch.from_numpy(np.log(len(data.kinds) * 2 / (1 + containing)).astype(np.float32))
    known = torch.nn.Parameter(torch.randn(given.words, given.dimensions) / given.dimensions**0.5 * rarity[:, None])
    length = torch.nn.Parameter(rarity[-1].clone())
    unknown = torch.from_numpy(unknown_vectors(given.dimensions))
    optimizer = torch.optim.Adam([known, length], lr=given.rate, betas=(0.9, 0.98))
    steps = int(given.epochs * (data.kinds == DOC).sum() / given.batch / SHARE[DOC])
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.02, steps)
    loss_of_last: list[float] = []
    started = time.perf_counter()
    for step, pairs in zip(range(steps), batches(data, given.batch, rng), strict=False):
        table = torch.cat([known, unknown * length])
        sides = []
        for side in (0, 1):
            rows, offsets, weights = texts.take(2 * pairs + side, given.dropout, rng)
            summed = functional.embedding_bag(rows, table, offsets, mode="sum", per_sample_weights=weights)
            sides.append(functional.normalize(summed, dim=1))
        scores = sides[0] @ sides[1].T / given.temperature
        own = torch.arange(len(pairs))
        loss = (functional.cross_entropy(scores, own) + functional.cross_entropy(scores.T, own)) / 2
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        loss_of_last.append(float(loss.detach()))
        if step % 100 == 99 or step == steps - 1:
            seconds = time.perf_counter() - started
            print(f"step {step + 1}/{steps}  loss {np.mean(loss_of_last[-100:]):.3f}  {seconds:.0f} s", flush=True)
    return known.detach().numpy(), float(length.detach())


def pack(words: Sequence[str], vectors: FloatArray, unknown: float) -> bytes:
    """The bytes of the file that `vicinal_indexer.embed.static` describes."""
    scales = (np.abs(vectors).max(axis=1) / 127).astype(np.float16)
    scales = np.maximum(scales, np.float16(1e-4))
    stored = np.clip(np.rint(vectors / scales.astype(np.float32)[:, None]), -127, 127).astype(np.int8)
    joined = np.frombuffer("\n".join(words).encode(), np.uint8)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, words=joined, vectors=stored, scales=scales, unknown=np.float32(unknown))
    return buffer.getvalue()


if __name__ == "__main__":
    main()
