"""A query at a million chunks: `python benchmarks/million.py --source SITE_PACKAGES [--chunks 1000000]`.

Real chunks of installed packages are stored again and again under other paths, each copy with a line of its own and its
vector turned by a small random angle, until there are enough. Indexing is not measured here; searching is, with the
time of the whole query (search, kernel, SIFT) and the largest memory of the process that asks.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa

from vicinal_indexer.batch import read_batch
from vicinal_indexer.embed import StaticEmbedder
from vicinal_indexer.files import walk
from vicinal_indexer.index import RepositoryIndex
from vicinal_indexer.rows import FileRow
from vicinal_indexer.types import digest

ROUND = 20_000
QUESTIONS = (
    "how are timeouts configured and where are retries logged",
    "parse a date from a string",
    "def forward(self, hidden_states, attention_mask):",
    "open a file and read it line by line",
    "where is the learning rate scheduled",
    "convert an array to a sparse matrix",
    "which exceptions are raised when the connection is closed",
    "class Parser",
)


def fill(index: RepositoryIndex, source: Path, wanted: int) -> None:
    """Store `wanted` chunks."""
    store = index._store.for_writing()
    table = read_real(source, ROUND)
    chance = np.random.default_rng(0)
    dimensions = StaticEmbedder.dimensions
    vectors = np.asarray(table["vector"].combine_chunks().flatten()).reshape(-1, dimensions).astype(np.float32)
    done = 0
    while done < wanted:
        count = min(len(table), wanted - done)
        turned = vectors[:count] + 0.3 / np.sqrt(dimensions) * chance.normal(size=(count, dimensions)).astype(
            np.float32
        )
        turned /= np.linalg.norm(turned, axis=1, keepdims=True)
        path = f"round{done // ROUND}.py"
        part = table.slice(0, count)
        columns = {name: part[name] for name in part.column_names}
        columns["path"] = pa.array([path] * count)
        texts = [f"{text}\n# copy {done}" for text in part["text"].to_pylist()]
        columns["text"] = pa.array(texts)
        columns["content_hash"] = pa.array([digest(text) for text in texts])
        flat = pa.array(turned.astype(np.float16).ravel(), pa.float16())
        columns["vector"] = pa.FixedSizeListArray.from_arrays(flat, dimensions)
        store.put([FileRow(path, 0, 0, path, count, "", "")], pa.table(columns, schema=part.schema))
        done += count
    store.tidy()
    store.seal()


def read_real(source: Path, count: int) -> pa.Table:
    """The first chunks of a folder."""
    tables, total, stats = [], 0, walk(source)[0]
    for start in range(0, len(stats), 50):
        tables.append(read_batch(source, stats[start : start + 50], StaticEmbedder()).chunks)
        total += tables[-1].num_rows
        if total >= count:
            break
    return pa.concat_tables(tables).slice(0, count)


ASK = """
import sys, time
from pathlib import Path
from vicinal_daemon import config
from vicinal_daemon.query import query
from vicinal_indexer.index import RepositoryIndex
from vicinal_indexer.types import Filter
sys.path.insert(0, str(Path(sys.argv[3]).parent))
from million import peak_memory
questions, settings = sys.argv[4:], config.load(None, {}, {}, None)
begun = time.perf_counter()
with RepositoryIndex.open(Path(sys.argv[1]), Path(sys.argv[2])) as index:
    index.search(questions[0])
    print(time.perf_counter() - begun)
    for question in questions * 8:
        begun = time.perf_counter()
        index.search(question)
        found = time.perf_counter()
        query(question, index, settings, count=8, strategy="sift", wanted=Filter())
        print(found - begun, time.perf_counter() - found)
print(peak_memory() / 1e6)
"""


def peak_memory() -> float:
    """The largest resident memory of this process, in bytes (Linux; elsewhere the largest of it and who started it)."""
    status = Path("/proc/self/status")
    if status.exists():
        return next(float(line.split()[1]) * 1024 for line in status.read_text().splitlines() if "VmHWM" in line)
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", type=Path, required=True, help="a folder of packages, for example site-packages")
    parser.add_argument("--chunks", type=int, default=1_000_000)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root, data = Path(folder, "empty"), Path(folder, "data")
        root.mkdir()
        begun = time.perf_counter()
        with RepositoryIndex.open(root, data) as index:
            fill(index, chosen.source, chosen.chunks)
            status = index.status()
        print(f"| chunks | {status.chunks:,} |\n|---|---|")
        print(f"| storing them, with both indexes | {time.perf_counter() - begun:.0f} s |")
        print(f"| memory while storing, at most | {peak_memory() / 1e6:,.0f} MB |")
        print(f"| on disk | {status.bytes_on_disk / 1e6:,.0f} MB |", flush=True)
        command = [sys.executable, "-c", ASK, str(root), str(data), __file__, *QUESTIONS]
        first, *rows, peak = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
        times = np.array([row.split() for row in rows], float)
        for name, column in (("search, K = 200", times[:, 0]), ("whole query: search, kernel, SIFT", times[:, 1])):
            p50, p95 = np.percentile(column, [50, 95]) * 1e3
            print(f"| {name} | p50 {p50:.0f} ms, p95 {p95:.0f} ms |")
        print(f"| opening and the first search | {float(first):.2f} s |")
        print(f"| memory of the process that asks, at most | {float(peak):,.0f} MB |")
        print(f"| CPUs | {os.cpu_count()} |")


if __name__ == "__main__":
    main()
