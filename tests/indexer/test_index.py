"""The index as a whole: only what changed is touched, and damage of any kind is survived."""

import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from pathlib import Path

import pytest

import vicinal_indexer
from vicinal_indexer.embed import StaticEmbedder
from vicinal_indexer.errors import InputError, StoreUnavailable
from vicinal_indexer.index import RepositoryIndex
from vicinal_indexer.store import stored_texts
from vicinal_indexer.types import Progress, Region

_TICKS = count(1_000)
Content = list[tuple[str, int, str, bytes]]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "repo"
    (folder / "pkg").mkdir(parents=True)
    for number in range(12):
        body = f"def read_{number}(file):\n" + f"    value = parse(file, {number})\n" * 16
        write(folder / "pkg" / f"m{number}.py", body)
    return folder


def write(path: Path, text: str) -> None:
    """Write a file whose time is long past and unlike any other, so that no clock's grain matters."""
    path.write_text(text)
    os.utime(path, ns=(10**18, 10**18 + next(_TICKS)))


def content(index: RepositoryIndex) -> Content:
    found = index.search("def read file value parse", limit=1000)
    return sorted((c.chunk.path, c.chunk.start_line, c.chunk.text, c.vector.tobytes()) for c in found)


def fresh(root: Path, data: Path) -> Content:
    with RepositoryIndex.open(root, data) as index:
        index.sync()
        return content(index)


def counts(index: RepositoryIndex) -> tuple[int, int, int]:
    report = index.sync()
    return report.added, report.replaced, report.dropped


def listing(root: Path) -> list[tuple[str, int, int]]:
    return [(str(p), p.stat().st_mtime_ns, p.stat().st_size) for p in sorted([root, *root.rglob("*")])]


def test_only_what_changed_is_touched(root: Path, tmp_path: Path) -> None:
    before = listing(root)
    with RepositoryIndex.open(root, tmp_path / "data") as index:
        assert counts(index) == (12, 0, 0)
        assert counts(index) == (0, 0, 0)
        assert listing(root) == before
        os.utime(root / "pkg" / "m0.py", ns=(10**18, 10**18 + 7))
        assert counts(index) == (0, 0, 0)
        write(root / "pkg" / "m1.py", "def other():\n    return parse\n")
        (root / "pkg" / "m2.py").unlink()
        write(root / "new.py", "def new():\n    return parse\n")
        assert counts(index) == (1, 1, 1)
        assert content(index) == fresh(root, tmp_path / "other")
        assert "pkg/m2.py" not in dict(index.texts())
        assert index.status().files == 12


def test_what_is_excluded_is_never_found_and_duplicates_once(root: Path, tmp_path: Path) -> None:
    write(root / "copy.py", (root / "pkg" / "m3.py").read_text())
    with RepositoryIndex.open(root, tmp_path / "data") as index:
        index.sync()
        found = index.search("read value parse")
        assert len({c.chunk.content_hash for c in found}) == len(found) == 12
        assert [c.chunk for c in index.search("read value parse")] == [c.chunk for c in found]
        region = Region("pkg/m5.py", 3, 4)
        kept = index.search("read value parse", exclude=[region])
        assert len(kept) == 11
        assert not any(region.overlaps(c.chunk) for c in kept)


def test_hashes_are_those_of_the_chunks(root: Path, tmp_path: Path) -> None:
    with RepositoryIndex.open(root, tmp_path / "data") as index:
        index.sync()
        found = index.hashes(["pkg/m1.py", "pkg/m2.py", "pkg/it's not there.py"])
        told = {c.chunk.path: c.chunk.content_hash for c in index.search("read value parse")}
        assert found == {path: frozenset({told[path]}) for path in ("pkg/m1.py", "pkg/m2.py")}
        before, revision = index.glance(), index.glance().revision
        write(root / "pkg" / "m1.py", "def other():\n    return parse\n")
        assert index.sync().changed
        assert not index.sync().changed
        assert index.hashes(["pkg/m1.py"]) != {"pkg/m1.py": found["pkg/m1.py"]}
        after = index.glance()
        assert after.revision != revision
        assert (after.files, after.chunks) == (before.files, before.chunks) == (12, 12)
        assert index.hashes([]) == {}


def test_a_sample_is_the_same_for_the_same_content_and_seed(root: Path, tmp_path: Path) -> None:
    write(root / "copy.py", (root / "pkg" / "m3.py").read_text())
    with RepositoryIndex.open(root, tmp_path / "data") as index, RepositoryIndex.open(root, tmp_path / "b") as other:
        index.sync()
        other.sync()
        other.rebuild()
        all_of_them = index.sample(100, seed=0)
        paths = [c.chunk.path for c in all_of_them]
        assert sorted(paths) == sorted({*(f"pkg/m{n}.py" for n in range(12)), "copy.py"} - {"pkg/m3.py"})
        assert [c.chunk for c in other.sample(100, seed=0)] == [c.chunk for c in all_of_them]
        assert [c.chunk for c in index.sample(5, seed=0)] == [c.chunk for c in all_of_them[:5]]
        assert [c.chunk.path for c in index.sample(100, seed=1)] != paths
        expected = {c.chunk.path: c.vector.tobytes() for c in index.search("read value parse")}
        assert {c.chunk.path: c.vector.tobytes() for c in all_of_them} == expected
        write(root / paths[0], "def other():\n    return parse\n")
        index.sync()
        kept = [c.chunk.path for c in index.sample(100, seed=0)]
        assert [path for path in kept if path != paths[0]] == paths[1:]
        assert index.sample(0, seed=0) == []


class Ended(Exception):
    pass


def test_a_sync_can_be_ended_and_goes_on_later(root: Path, tmp_path: Path) -> None:
    def end(progress: Progress) -> None:
        if progress.stage == "index":
            raise Ended

    with RepositoryIndex.open(root, tmp_path / "data") as index:
        with pytest.raises(Ended):
            index.sync(end)
        assert not list((tmp_path / "data").rglob("*.reading"))
        index.sync()
        assert content(index) == fresh(root, tmp_path / "other")


def test_an_empty_repository(tmp_path: Path) -> None:
    (tmp_path / "repo").mkdir()
    with RepositoryIndex.open(tmp_path / "repo", tmp_path / "data") as index:
        assert counts(index) == (0, 0, 0)
        assert index.search("anything") == []
        assert index.search("") == []


def test_a_secret_is_nowhere_in_the_store(root: Path, tmp_path: Path) -> None:
    secret = "gh" + "p_" + "Zq7" * 12
    write(root / "leak.py", f'token = "{secret}"\n')
    with RepositoryIndex.open(root, tmp_path / "data") as index:
        index.sync()
        write(root / "pkg" / "m4.py", f'def read():\n    token = "{secret}"\n')
        report = index.sync()
        assert {skip.path for skip in report.skipped} == {"leak.py", "pkg/m4.py"}
        assert not any(c.chunk.path == "pkg/m4.py" for c in index.search("read value parse"))
    for path in (tmp_path / "data").rglob("*"):
        assert path.is_dir() or secret.encode() not in path.read_bytes()
    texts = [text for _, _, text in stored_texts(index.folder)]  # lance packs them: bytes alone tell nothing
    assert any("parse(file, 3)" in text for text in texts)
    assert not any(secret in text for text in texts)


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x10
    path.write_bytes(data)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "flip": _flip,
    "truncate": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "delete": Path.unlink,
    "garbage": lambda path: path.write_bytes(b"\xff{garbage"),
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("pattern", ["meta.json", "seal.json", "chunks.lance/data/*", "files.lance/data/*"])
def test_a_damaged_store_is_rebuilt(root: Path, tmp_path: Path, damage: str, pattern: str) -> None:
    data = tmp_path / "data"
    expected = fresh(root, data)
    DAMAGES[damage](sorted(data.rglob(pattern))[0])
    with RepositoryIndex.open(root, data) as index:
        report = index.sync()
        assert content(index) == expected
        assert report.rebuilt_because or (damage, pattern) == ("delete", "seal.json")
        assert index.sync().rebuilt_because is None


@pytest.mark.parametrize("damage", ["truncate", "delete", "garbage"])
def test_damage_while_it_is_open(root: Path, tmp_path: Path, damage: str) -> None:
    expected = fresh(root, tmp_path / "data")
    with RepositoryIndex.open(root, tmp_path / "data") as index:
        for path in (tmp_path / "data").rglob("chunks.lance/data/*"):
            DAMAGES[damage](path)
        assert content(index) == expected


class OtherEmbedder(StaticEmbedder):
    name = "other"


def test_another_embedder_rebuilds(root: Path, tmp_path: Path) -> None:
    fresh(root, tmp_path / "data")
    with RepositoryIndex.open(root, tmp_path / "data", OtherEmbedder()) as index:
        report = index.sync()
        assert report.added == 12
        assert "other" in (report.rebuilt_because or "")


def test_errors(root: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError):
        RepositoryIndex.open(tmp_path / "none", tmp_path / "data")
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreUnavailable):
        RepositoryIndex.open(root, tmp_path / "file")


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="handles are counted in /proc")
def test_tidying_up_again_and_again_keeps_no_deleted_file_open(tmp_path: Path) -> None:
    """Lance's cache holds the full-text index of before each tidying open, as long as its session lives."""

    def deleted() -> int:
        found = 0
        for handle in Path("/proc/self/fd").iterdir():
            with suppress(OSError):  # the one that lists them is gone by now
                found += str(tmp_path) in (name := str(handle.readlink())) and name.endswith("(deleted)")
        return found

    # Smaller indexes are read as a whole, and their files closed.
    source = Path(vicinal_indexer.__file__).parent
    root = Path(shutil.copytree(source, tmp_path / "root", ignore=shutil.ignore_patterns("__pycache__")))
    file = root / "store.py"
    text = file.read_text()
    with RepositoryIndex.open(root, tmp_path / "data") as opened, opened.holding():
        for turn in range(4):
            file.write_text(f"# {turn}\n{text}")
            opened.sync()
            opened.search(text[:1000])
            opened.tidy()
            opened.search(text[:1000])
        assert deleted() <= 2
