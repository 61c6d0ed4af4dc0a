"""How fast a folder is indexed: `python benchmarks/indexing.py --root FOLDER`."""

import argparse
import tempfile
import time
from pathlib import Path

from vicinal_indexer.index import RepositoryIndex


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, required=True, help="a repository or an installed package")
    root = parser.parse_args().root
    with tempfile.TemporaryDirectory() as data:
        with RepositoryIndex.open(root, Path(data)) as index:
            first = index.sync()
            again = index.sync()
            status = index.status()
        started = time.perf_counter()
        with RepositoryIndex.open(root, Path(data)) as index:
            opened = time.perf_counter() - started
            index.search("def forward(self, hidden_states)")
    print(f"files           {first.files:,} ({len(first.skipped):,} skipped)")
    print(f"chunks          {first.chunks:,}")
    print(f"first sync      {first.seconds:.2f} s, {first.chunks / first.seconds:,.0f} chunks/s")
    print(f"no-change sync  {again.seconds:.3f} s")
    print(f"open, verified  {opened:.3f} s")
    print(f"on disk         {status.bytes_on_disk / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
