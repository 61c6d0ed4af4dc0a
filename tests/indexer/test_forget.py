"""Forgetting: what is removed is in no byte and in no version, and the search for it can find something."""

import os
from pathlib import Path

import pytest
from filelock import FileLock
from hypothesis import given, settings
from hypothesis import strategies as st

from vicinal_indexer.errors import InputError, StoreLocked
from vicinal_indexer.exclude import exclude
from vicinal_indexer.files import walk
from vicinal_indexer.index import RepositoryIndex
from vicinal_indexer.stored import erase
from vicinal_indexer.traces import lines_of, search, telling

COMMON = "# all rights of the zebra reserved\n"


def write(root: Path, path: str, text: str) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(COMMON + text)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "repo"
    for number in range(60):  # enough for the store to pack its texts
        body = f"    wanted = find_the_order({number}, ledger)\n" * 8
        write(folder, f"pkg/module_{number}.py", f"def read_{number}(file):\n{body}")
    write(folder, "pkg/keys.py", "def quantum_zebra_ledger():\n    return 'a line that tells'\n")
    return folder


def files_in(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file()}


def with_rows(folder: Path) -> set[Path]:
    """The files of tables but their manifests, whose names are numbers."""
    return {path for path in files_in(folder) if path.suffix in (".lance", ".idx", ".txn")}


def test_forgotten_is_in_no_byte_and_no_version(root: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    with RepositoryIndex.open(root, data) as index:
        index.sync()
        write(root, "pkg/keys.py", "def quantum_zebra_ledger():\n    return 'another line that tells'\n")
        index.sync()
        lines = index.telling({"pkg/keys.py"})
        assert lines == {"def quantum_zebra_ledger():", "return 'another line that tells'"}
        lines |= {"return 'a line that tells'"}
        before = search(data, lines)
        assert before.found, "the search finds what is there"
        assert before.files > 3
        tables = with_rows(index.folder)
        assert exclude(root, {"pkg/keys.py"}) == ("/pkg/keys.py",)
        assert index.forget({"pkg/keys.py"}) == ("pkg/keys.py",)
        after = search(data, lines)
        assert (after.found, after.lines) == ((), 3)
        assert after.texts > 0
        assert tables
        assert not tables & with_rows(index.folder), "no file of before is left, referred to or not"
        found = index.search("quantum zebra ledger read order")
        assert found
        assert not any(candidate.chunk.path == "pkg/keys.py" for candidate in found)
        report = index.sync()
        assert (report.files, report.changed, report.rebuilt_because) == (61, True, None)  # .vicinalignore is one
        assert not search(data, lines).found
        assert index.forget({"pkg/keys.py"}) == ()


def test_a_folder_is_forgotten_with_all_in_it_and_a_store_is_whole_after_it(root: Path, tmp_path: Path) -> None:
    with RepositoryIndex.open(root, tmp_path / "data") as index:
        index.sync()
        write(root, "other.py", "def other_things(file):\n    return file\n")
        index.sync()
        assert len(index.forget({"pkg"})) == 61
        assert index.glance().files == 1
    with RepositoryIndex.open(root, tmp_path / "data") as again, RepositoryIndex.open(root, tmp_path / "new") as fresh:
        assert again.sync().rebuilt_because is None
        fresh.sync()
        assert again.digests() == fresh.digests()


def test_a_reader_that_was_open_finds_the_new_store(root: Path, tmp_path: Path) -> None:
    with RepositoryIndex.open(root, tmp_path / "data") as writer, writer.holding():
        writer.sync()
        with RepositoryIndex.open(root, tmp_path / "data") as reader:
            assert any(c.chunk.path == "pkg/keys.py" for c in reader.search("quantum zebra ledger"))
            with pytest.raises(StoreLocked):
                reader.forget({"pkg/keys.py"})
            writer.forget({"pkg/keys.py"})
            assert not any(c.chunk.path == "pkg/keys.py" for c in reader.search("quantum zebra ledger"))


def test_a_whole_index_is_erased_but_for_its_lock(root: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    with RepositoryIndex.open(root, data) as index:
        index.sync()
    (lock,) = (data / "stores").glob("*.lock")
    with FileLock(lock), pytest.raises(StoreLocked):
        erase(root, data)
    assert erase(root, data)
    assert files_in(data) <= {lock}
    assert not erase(root, data)


def test_what_other_files_say_too_is_not_telling() -> None:
    assert telling(["shared_line_of_code()\nown_line_of_code()\n"], ["  shared_line_of_code()\n"]) == {
        "own_line_of_code()"
    }


@settings(max_examples=30)
@given(st.text(), st.text())
def test_telling_lines_are_own_and_no_others(own: str, other: str) -> None:
    found = telling([own], [other])
    assert found <= lines_of(own)
    assert not found & lines_of(other)


NAMES = st.text(st.characters(exclude_characters="/\0\n\r", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20)


@settings(max_examples=15)
@given(NAMES.filter(lambda name: name not in (".", "..") and name.strip() == name))
def test_any_name_can_be_left_out_and_nothing_else_is(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    root = tmp_path_factory.mktemp("r")
    try:
        (root / f"{name}.py").write_text("x = 1\n")
    except OSError:  # longer than the file system's names
        return
    (root / "kept.py").write_text("x = 1\n")
    walked = {stat.path for stat in walk(root)[0]}
    exclude(root, {f"{name}.py"})
    assert {stat.path for stat in walk(root)[0]} == (walked - {f"{name}.py"}) | {".vicinalignore"}


def test_the_users_own_lines_stay_and_nothing_is_added_twice(tmp_path: Path) -> None:
    (tmp_path / ".vicinalignore").write_bytes(b"build/\r\n# mine")
    assert exclude(tmp_path, {"a b.py", "keys"}) == ("/a b.py", "/keys")
    assert exclude(tmp_path, {"a b.py"}) == ()
    assert (tmp_path / ".vicinalignore").read_bytes() == b"build/\r\n# mine\n/a b.py\n/keys\n"


def test_an_ignore_file_that_is_a_link_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "repo").mkdir()
    (tmp_path / "profile").write_text("the user's\n")
    (tmp_path / "repo" / ".vicinalignore").symlink_to(tmp_path / "profile")
    with pytest.raises(InputError):
        exclude(tmp_path / "repo", {"a.py"})
    assert (tmp_path / "profile").read_text() == "the user's\n"


def test_a_file_that_another_rule_takes_back_is_told(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.py").write_text("x = 1\n")
    (tmp_path / "sub" / ".gitignore").write_text("!a.py\n")
    with pytest.raises(InputError, match="taken back"):
        exclude(tmp_path, {"sub/a.py"})


@pytest.mark.skipif(os.name == "nt", reason="permissions are others there")
def test_links_are_no_way_out_of_the_folder_that_is_searched(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "elsewhere").write_text("a line that tells much\n")
    (tmp_path / "data" / "link").symlink_to(tmp_path / "elsewhere")
    assert search(tmp_path / "data", {"a line that tells much"}).files == 0
    (tmp_path / "data" / "note.json").write_text('{"code": "\\"a line\\" that tells much"}')
    found = search(tmp_path / "data", {'"a line" that tells much'})
    assert [trace.where for trace in found.found] == ["note.json"]
