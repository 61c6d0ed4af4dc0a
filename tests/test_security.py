"""What `docs/security.md` promises: every test that it names is there, and what it says of the code is so."""

import ast
import functools
import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from vicinal_daemon.evaluate import commits
from vicinal_daemon.tune.adapters import AdapterStore
from vicinal_indexer.files import walk
from vicinal_indexer.index import RepositoryIndex
from vicinal_indexer.types import SkipReason

ROOT = Path(__file__).parents[1]
DOCUMENT = ROOT / "docs" / "security.md"
CODE = sorted(path for room in ("indexer", "daemon", "lsp") for path in (ROOT / room).rglob("*.py"))
posix = pytest.mark.skipif(os.name == "nt", reason="permissions are others there")


@functools.cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def functions_in(path: Path) -> set[str]:
    """The names of the functions in a file."""
    tree = parsed(path)
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def named(text: str) -> list[tuple[str, str]]:
    return re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", text)


def test_every_test_that_the_document_names_is_there() -> None:
    found = named(DOCUMENT.read_text(encoding="utf-8"))
    assert len(found) > 40
    missing = [f"{file}::{test}" for file, test in found if test not in functions_in(ROOT / file)]
    assert missing == []


def test_every_promise_names_a_test() -> None:
    rows = [row for row in DOCUMENT.read_text(encoding="utf-8").splitlines() if row.startswith("| ")]
    promises = [row for row in rows if not row.startswith(("| promised", "|---"))]
    assert len(promises) > 20
    assert [row for row in promises if not named(row)] == []


def calls(path: Path) -> set[str]:
    """What is called in a file, as it is written; with `shell=True` where that is said."""
    tree = parsed(path)
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            allowed = [k.value for k in node.keywords if k.arg == "allow_pickle"]
            assert [ast.unparse(value) for value in allowed] in ([], ["False"])  # numpy reads none without it
            shell = any(k.arg == "shell" and getattr(k.value, "value", None) is not False for k in node.keywords)
            found.add(ast.unparse(node.func) + (" in a shell" if shell else ""))
    return found


def test_nothing_runs_what_a_repository_or_a_model_says() -> None:
    forbidden = {"eval", "exec", "compile", "__import__", "os.system", "os.popen", "runpy.run_path"}
    for path in CODE:
        said = calls(path)
        assert not said & forbidden, path
        assert not [name for name in said if name.endswith(" in a shell")], path


def test_no_pickle_is_read_but_between_the_daemon_and_its_engine() -> None:
    loads = {"pickle.load", "pickle.loads", "torch.load", "pickle.Unpickler", "marshal.loads"}
    users = {path.name for path in CODE if calls(path) & loads or "pickle.Unpickler" in path.read_text("utf-8")}
    assert users <= {"frames.py"}


def interpreters(path: Path) -> list[list[str]]:
    """The arguments of each Python that a file starts."""
    found = []
    for node in ast.walk(parsed(path)):
        words = node.args if isinstance(node, ast.Call) else node.elts if isinstance(node, ast.List | ast.Tuple) else ()
        said = [ast.unparse(word) for word in words]
        if "sys.executable" in said:
            found.append(said[said.index("sys.executable") + 1 :])
    return found


def test_no_python_that_is_started_imports_from_the_current_folder() -> None:
    started = {path.name: one for path in CODE for one in interpreters(path) if one and one[0].startswith(("'-", '"-'))}
    assert len(started) >= 4
    assert [name for name, words in started.items() if words[0] != "'-P'"] == []


HOSTILE = """
from pathlib import Path
Path({mark!r}).touch()
raise SystemExit("the repository runs code")
"""
INDEXING = """
import sys
from pathlib import Path
from vicinal_indexer.embed import StaticEmbedder
from vicinal_indexer.files import walk
from vicinal_indexer.workers import isolated_batches

if __name__ == "__main__":
    root = Path(sys.argv[1])
    for batch in isolated_batches(root, walk(root)[0], StaticEmbedder()):
        print(*(row.reason or "read" for row in batch.rows))
"""


def test_modules_of_a_repository_are_not_imported_by_workers_that_index_it(tmp_path: Path) -> None:
    (tmp_path / "repo").mkdir()
    for name in ("multiprocessing", "json", "concurrent", "numpy"):
        (tmp_path / "repo" / f"{name}.py").write_text(HOSTILE.format(mark=str(tmp_path / "ran")))
    (tmp_path / "command.py").write_text(INDEXING)  # a script, as the command `vicinal` is one
    paths = os.pathsep.join(str(Path(path).resolve()) for path in sys.path if path)
    done = subprocess.run(
        [sys.executable, str(tmp_path / "command.py"), str(tmp_path / "repo")],
        cwd=tmp_path / "repo",
        env={**os.environ, "PYTHONPATH": paths, "PYTHONSAFEPATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == ["read"] * 4, done.stderr
    assert not (tmp_path / "ran").exists()


def test_git_runs_no_program_of_a_repository(tmp_path: Path) -> None:
    monitor = tmp_path / "monitor"
    monitor.write_text(f"#!/bin/sh\ntouch {tmp_path / 'ran'}\n")
    monitor.chmod(0o755)
    for words in (["init", "-q"], ["config", "core.fsmonitor", str(monitor)], ["config", "core.pager", str(monitor)]):
        subprocess.run(["git", "-C", str(tmp_path), *words], check=True)
    for hook in ("post-checkout", "post-index-change", "reference-transaction"):
        (tmp_path / ".git" / "hooks").mkdir(exist_ok=True)
        shutil.copy(monitor, tmp_path / ".git" / "hooks" / hook)
    assert commits._run(tmp_path, "status", "--porcelain").returncode == 0
    commits._run(tmp_path, "read-tree", "--empty")
    assert not (tmp_path / "ran").exists()
    subprocess.run(["git", "-C", str(tmp_path), "status"], check=True, capture_output=True)
    assert (tmp_path / "ran").exists(), "the monitor would have run"


@posix
def test_what_is_stored_is_its_users_alone(tmp_path: Path) -> None:
    (tmp_path / "repo").mkdir()
    (tmp_path / "repo" / "a.py").write_text("x = 1\n")
    (tmp_path / "data" / "adapters").mkdir(parents=True, mode=0o755)  # as an older version made it
    (tmp_path / "data").chmod(0o755)
    with RepositoryIndex.open(tmp_path / "repo", tmp_path / "data") as index:
        index.sync()
    AdapterStore(tmp_path / "data" / "adapters", 10**6, 10).open()
    modes = {name: stat.S_IMODE((tmp_path / "data" / name).stat().st_mode) for name in ("stores", "adapters")}
    assert modes == {"stores": 0o700, "adapters": 0o700}
    with RepositoryIndex.open(tmp_path / "repo", tmp_path / "new") as index:
        index.sync()
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700


@posix
@pytest.mark.parametrize("name", ["a\x1b]0;gotcha\x07.py", "a\nb.py", "a\x9b31m.py"])
def test_a_name_that_would_steer_a_terminal_is_left_out_and_told_harmlessly(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("x = 1\n")
    found, skipped = walk(tmp_path)
    assert found == []
    assert [skip.reason for skip in skipped] == [SkipReason.NOT_UTF8]
    assert skipped[0].path.isprintable()
