"""A small file system that is really full: what the layer says of a full disk is what a full disk does."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

MOUNTED = ("unshare", "-rm", "sh", "-c", 'mount -t tmpfs -o size=2m none "$1" && shift && exec "$@"', "sh")

SCENE = """
import json, sys
from pathlib import Path
from vicinal_indexer.errors import VicinalError
from vicinal_indexer.index import RepositoryIndex
from vicinal_daemon.uncertainty.feedback import AnswerFeatures, FeedbackStore

root, full = Path(sys.argv[1]), Path(sys.argv[2])
told = {}

def attempt(name, work):
    try:
        work()
        told[name] = "done"
    except VicinalError as error:
        assert error.hint
        told[name] = type(error).__name__

with RepositoryIndex.open(root, full) as index:
    index.sync()
    before = sorted(index.digests())
    store = FeedbackStore(full / "feedback.sqlite")
    ballast = (full / "ballast").open("wb", buffering=0)
    try:
        while ballast.write(bytes(4096)) == 4096:
            pass
    except OSError:
        pass
    for n in range(8):
        (root / f"new{n}.py").write_text(f"def new_{n}(order):\\n" + "    order.record(order)\\n" * 40)
    attempt("index", index.sync)
    attempt("rebuild", index.rebuild)
    features = AnswerFeatures(0.5, 1, 0.5, 0.1, 0.5, 0.9, 0.8, 3, 10, 1, "fresh", 3, 0, "invoked", "python", "t" * 9000)
    attempt("feedback", lambda: store.record_answer("a", features))
    ballast.truncate(0)
    index.sync()
    assert sorted(index.digests()) == sorted([*before, *(f"new{n}.py" for n in range(8))])
    store.record_answer("b", features)
    assert "b" in {answer.id for answer in store.told()}
    store.close()
print(json.dumps(told))
"""


@pytest.mark.slow
def test_a_disk_that_is_really_full(shop: Path, tmp_path: Path) -> None:
    full = tmp_path / "full"
    full.mkdir()
    if sys.platform != "linux" or subprocess.run([*MOUNTED, full, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this user may not mount a small file system of its own")
    paths = ":".join(path for path in sys.path if path)
    done = subprocess.run(
        [*MOUNTED, full, "env", f"PYTHONPATH={paths}", sys.executable, "-c", SCENE, shop, full],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    told = json.loads(done.stdout)
    assert set(told.values()) == {"StoreUnavailable"}, told
