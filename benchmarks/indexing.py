"""What indexing costs: `python benchmarks/indexing.py --source SITE_PACKAGES [--files 10000]`.

Copies real files into a temporary folder and measures there: the first index with all of it on disk, a start with
nothing changed, how long a save takes to be searchable, the disk after many updates against a fresh build, and the
largest memory of all processes together.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psutil
from corpus import copy_corpus

from vicinal_indexer.follow import Follower
from vicinal_indexer.index import RepositoryIndex
from vicinal_indexer.types import SyncReport
from vicinal_indexer.watch import watching

START = """
import sys, time
from pathlib import Path
begun = time.perf_counter()
from vicinal_indexer.index import RepositoryIndex
imported = time.perf_counter()
with RepositoryIndex.open(Path(sys.argv[1]), Path(sys.argv[2])) as index:
    index.sync()
print(imported - begun, time.perf_counter() - imported)
"""


class Memory:
    """The largest resident memory of this process and its children, in bytes, sampled ten times a second."""

    def __init__(self) -> None:
        self.peak = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        me = psutil.Process()
        while not self._stop.wait(0.1):
            total = 0
            for process in (me, *me.children(recursive=True)):
                try:
                    total += process.memory_info().rss
                except psutil.NoSuchProcess:
                    continue
            self.peak = max(self.peak, total)

    def stop(self) -> int:
        self._stop.set()
        self._thread.join()
        return self.peak


def starts(root: Path, data: Path, count: int) -> tuple[float, float]:
    """(seconds for the imports, seconds from there to a synced index), medians over new processes."""
    command = [sys.executable, "-c", START, str(root), str(data)]
    times = [subprocess.run(command, capture_output=True, text=True, check=True).stdout.split() for _ in range(count)]
    imports, rest = np.median(np.array(times, float), axis=0)
    return float(imports), float(rest)


class Synced:
    """Told of syncs by the follower's thread."""

    def __init__(self) -> None:
        self._count = 0
        self._changed = threading.Condition()

    def __call__(self, _: SyncReport) -> None:
        with self._changed:
            self._count += 1
            self._changed.notify_all()

    def wait_for_more(self, than: int) -> None:
        with self._changed:
            if not self._changed.wait_for(lambda: self._count > than, 60):
                raise SystemExit("a save was not noticed within a minute")

    @property
    def count(self) -> int:
        return self._count


@contextmanager
def followed(index: RepositoryIndex) -> Iterator[Synced]:
    synced, stop = Synced(), threading.Event()

    def complain(error: Exception) -> None:
        print(f"error: {error}", file=sys.stderr)

    with index.holding(), watching(index.root, index.cookies) as signals:
        follower = Follower(index, signals, synced, complain, paused=lambda: False, stopped=stop.is_set)
        thread = threading.Thread(target=follower.run)
        thread.start()
        try:
            yield synced
        finally:
            stop.set()
            signals.wake()
            thread.join()


def saves(index: RepositoryIndex, paths: list[Path]) -> list[float]:
    """Seconds from each save until a search finds what was written, and nothing but a search that succeeds counts."""
    times = []
    with followed(index) as synced:
        for number, path in enumerate(paths):
            word = f"marker{''.join(chr(97 + int(d)) for d in str(number))}end"
            text = path.read_text(encoding="utf-8") + f"\n\ndef {word}():\n    return '{word}'\n"
            before = synced.count
            begun = time.perf_counter()
            path.write_text(text, encoding="utf-8")
            while True:
                synced.wait_for_more(before)
                before = synced.count
                if any(word in c.chunk.text for c in index.search(word)):
                    break
            times.append(time.perf_counter() - begun)
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", type=Path, required=True, help="a folder of packages, for example site-packages")
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--saves", type=int, default=100)
    parser.add_argument("--updates", type=int, default=1_000)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root, data = Path(folder, "corpus"), Path(folder, "data")
        count = copy_corpus(chosen.source, root, chosen.files)
        print(f"| files | {count:,} |\n|---|---|", flush=True)
        with RepositoryIndex.open(root, data) as index:
            memory = Memory()
            first = index.sync()
            peak = memory.stop()
            fresh = index.status().bytes_on_disk
            text = sum(path.stat().st_size for path in root.rglob("*") if path.is_file())
            print(f"| chunks | {first.chunks:,} |")
            print(f"| first index | {first.seconds:.1f} s, {first.chunks / first.seconds:,.0f} chunks/s |")
            print(f"| memory, all processes, at most | {peak / 1e6:,.0f} MB |")
            print(f"| on disk | {fresh / 1e6:,.0f} MB for {text / 1e6:,.0f} MB of text |", flush=True)
        imports, rest = starts(root, data, 5)
        print(f"| start, nothing changed | {rest:.2f} s after {imports:.2f} s of imports |", flush=True)
        chance = np.random.default_rng(0)
        python = sorted(root.rglob("*.py"))
        with RepositoryIndex.open(root, data) as index:
            times = saves(index, [python[i] for i in chance.integers(0, len(python), chosen.saves)])
            p50, p95 = np.percentile(times, [50, 95])
            print(
                f"| save -> searchable, {len(times)} saves | p50 {p50 * 1e3:.0f} ms, p95 {p95 * 1e3:.0f} ms |",
                flush=True,
            )
            largest = fresh
            for number in range(chosen.updates):
                path = python[int(chance.integers(0, len(python)))]
                path.write_text(f"{path.read_text(encoding='utf-8')}\nx{number} = {number}\n", encoding="utf-8")
                index.sync(scope=[path.relative_to(root).as_posix()])
                if number % 50 == 0:
                    largest = max(largest, index.status().bytes_on_disk)
            updated = index.status().bytes_on_disk
        with RepositoryIndex.open(root, Path(folder, "other")) as index:
            index.sync()
            again = index.status().bytes_on_disk
        print(
            f"| disk after {chosen.updates:,} updates of one file | {updated / again:.2f} of a fresh build"
            f" (on the way at most {max(largest, updated) / again:.2f}) |"
        )
        print(f"| CPUs | {os.cpu_count()} |")


if __name__ == "__main__":
    main()
