"""Commit tasks: what somebody added, with the repository as it was before, and nothing written into it."""

import subprocess
import sys
from pathlib import Path

import pytest

from vicinal_daemon.errors import HistoryUnusable
from vicinal_daemon.evaluate.commits import Tree, before, parse_changes, sample_commit_lines

FIRST = "\n".join(f"value_{n} = compute(first_{n}, second_{n})" for n in range(20)) + "\n"
ADDED = "extra_{n} = combine(value_{n}, other_{n}, third_{n})\n"


def git(root: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")
    done = subprocess.run(["git", "-C", str(root), *identity, *arguments], check=True, capture_output=True, text=True)
    return done.stdout


def commit(root: Path, message: str) -> str:
    git(root, "add", "-A")
    git(root, "commit", "-qm", message)
    return git(root, "rev-parse", "HEAD").strip()


@pytest.fixture
def history(tmp_path: Path) -> Path:
    root = tmp_path / "app"
    root.mkdir()
    git(root, "init", "-q", "-b", "main")
    (root / "a.py").write_text(FIRST)
    commit(root, "first")
    rows = FIRST.splitlines(keepends=True)
    (root / "a.py").write_text("".join([*rows[:5], ADDED.format(n=1), ADDED.format(n=2), *rows[7:]]))
    (root / "notes.md").write_text("many words, in a row, that are prose\n")
    (root / "old.py").write_text("import os\n")
    commit(root, "replaces two lines by two")
    (root / "old.py").unlink()
    (root / "b.py").write_text(
        "import a\n# a comment (of, many, words)\nshown = a.render(a.value_1, depth=4)\n" + rows[0]
    )
    commit(root, "a new file, in which one line is copied")
    return root


def test_tasks_are_added_lines_with_the_repository_as_it_was(history: Path) -> None:
    tasks = sample_commit_lines(history, 10, 0)
    assert {task.truth for task in tasks} == {
        "shown = a.render(a.value_1, depth=4)",
        ADDED.format(n=1).strip(),
        ADDED.format(n=2).strip(),
    }
    second = next(task for task in tasks if "extra_2" in task.truth)
    rows = FIRST.splitlines(keepends=True)
    # The commit's own earlier line is there, as it was typed; what follows is the file before the commit.
    assert second.left == "".join(rows[:5]) + ADDED.format(n=1)
    assert second.right == "\n" + "".join(rows[7:])
    assert (second.path, second.line, second.indexed_line, second.kind) == ("a.py", 7, 7, "commit")
    new = next(task for task in tasks if task.path == "b.py")
    assert (new.right, new.indexed_line) == ("", 0)


def test_fewer_tasks_are_the_first_of_more(history: Path) -> None:
    every = sample_commit_lines(history, 10, 3)
    assert sample_commit_lines(history, 1, 3) == every[:1]
    assert sample_commit_lines(history, 10, 3) == every


def test_a_tree_goes_from_commit_to_commit_and_the_repository_stays_as_it_is(history: Path, tmp_path: Path) -> None:
    def state() -> tuple[str, list[tuple[str, int]]]:
        files = sorted((str(p), p.stat().st_mtime_ns) for p in history.rglob("*") if p.is_file())
        return git(history, "worktree", "list"), files

    there = state()
    tree = Tree(history, tmp_path / "tree")
    newest = sample_commit_lines(history, 10, 0)[0].commit
    tree.go_to(newest)
    assert sorted(p.name for p in tree.files.iterdir()) == ["a.py", "b.py", "notes.md"]
    assert tree.go_to(before(history, newest))
    assert sorted(p.name for p in tree.files.iterdir()) == ["a.py", "notes.md", "old.py"]
    assert not tree.go_to(before(history, newest))
    assert state() == there


def test_a_partial_clone_is_used_as_it_is_and_nothing_is_fetched(history: Path, tmp_path: Path) -> None:
    git(history, "config", "uploadpack.allowFilter", "true")
    partial = tmp_path / "partial"
    git(tmp_path, "clone", "-q", "--filter=blob:none", "--no-checkout", history.as_uri(), str(partial))

    def objects() -> set[Path]:
        return set((partial / ".git" / "objects").rglob("*"))

    there = objects()
    with pytest.raises(HistoryUnusable) as failure:
        sample_commit_lines(partial, 10, 0)
    assert "nothing is fetched" in failure.value.hint
    assert objects() == there

    git(partial, "checkout", "-q", "main~1")  # fetches what the user asked for: two commits' files
    git(partial, "diff", "main~1", "main~2")
    there = objects()
    assert {task.path for task in sample_commit_lines(partial, 10, 0)} == {"a.py"}
    assert objects() == there


@pytest.mark.skipif(sys.platform == "win32", reason="the filter is a shell's command")
@pytest.mark.parametrize("name", ["evil", "ev=il"])
@pytest.mark.parametrize("kind", ["smudge", "clean"])
def test_filters_of_a_repository_are_not_run(
    history: Path, tmp_path: Path, name: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (history / ".gitattributes").write_text(f"*.py filter={name}\n")
    head = commit(history, "attributes")
    ran = tmp_path / "ran"
    git(history, "config", f"filter.{name}.{kind}", f"touch {ran}; cat")
    git(history, "config", f"filter.{name}.required", "true")
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "safe.directory")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "*")
    tree = Tree(history, tmp_path / "tree")
    for place in (head, f"{head}~1", head):
        tree.go_to(place)
    assert (tree.files / "b.py").read_text() == (history / "b.py").read_text()
    assert not ran.exists()


def test_a_folder_without_history_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(HistoryUnusable) as failure:
        sample_commit_lines(tmp_path, 1, 0)
    assert "--tasks line,api" in failure.value.hint


def test_hunks_that_only_look_like_headers() -> None:
    diff = (
        "diff --git a/x.py b/x.py\n--- a/x.py\n+++ b/x.py\n@@ -3,0 +4,2 @@ def f():\n+++ b/fake.py\n+two\n"
        "@@ -9 +11 @@\n-old\n+new\ndiff --git a/y.py b/y.py\n--- /dev/null\n+++ b/y.py\n@@ -0,0 +1 @@\n+y\n"
    )
    assert [(c.path, c.line, c.added, c.old_end) for c in parse_changes(diff)] == [
        ("x.py", 4, ("++ b/fake.py", "two"), 3),
        ("x.py", 11, ("new",), 9),
        ("y.py", 1, ("y",), 0),
    ]
