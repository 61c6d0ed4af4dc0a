"""Nothing connects anywhere: the whole job runs under an audit hook that forbids sockets, and without any network."""

import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

GUARDED = """
import sys

def refuse(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
        raise SystemExit(f"network use: {event} {arguments}")

sys.addaudithook(refuse)
from vicinal_daemon.cli.app import run
sys.exit(run(sys.argv[1:]))
"""


@pytest.mark.usefixtures("homes")
def test_a_completion_touches_no_network(shop: Path, tiny_model_dir: Path) -> None:
    arguments = ["complete", f"{shop}/shop/voucher.py:11", "--model", str(tiny_model_dir), "--steps", "1", "--json"]
    done = subprocess.run([sys.executable, "-c", GUARDED, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert '"steps": 1' in done.stdout


def test_the_hook_would_notice() -> None:
    code = GUARDED.replace("from vicinal_daemon.cli.app import run\nsys.exit(run(sys.argv[1:]))", "") + (
        "import socket\nsocket.create_connection(('127.0.0.1', 9))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "network use" in done.stderr


HOOKED = """
import os, sys

told = os.environ["TESTED_VICINAL_HOOKED"]

def note(name, words=""):
    with open(os.path.join(told, name), "a") as file:
        file.write(words)

def refuse(event, arguments):
    goes_out = event in ("socket.connect", "socket.sendto") and isinstance(arguments[1], tuple)
    if goes_out or event == "socket.getaddrinfo":
        note("connected", f"{sys.argv} {event} {arguments}\\n")
        raise RuntimeError(f"network use: {event}")

sys.addaudithook(refuse)
note(f"process-{os.getpid()}")
"""
"""For `sitecustomize`: every process of Vicinal begins with it. A Unix socket's address is no tuple."""

SESSION = """
import json, socket, sys
from vicinal_daemon.cli.app import run

shop, question = sys.argv[1:]
try:
    socket.create_connection(("192.0.2.1", 9), 0.2)  # an address that is nobody's
except (OSError, RuntimeError) as error:
    print("no way out:", error)
place = f"{shop}/shop/voucher.py:11"
codes = [
    run(command)
    for command in (
        ["index", shop],
        ["daemon", "start"],
        ["complete", place, "--steps", "2", "--budget-ms", "0", "--json"],
        ["query", question, "--repo", shop, "--json"],
        ["adapters", "list", "--json"],
        ["forget", f"{shop}/shop/refund.py", "--yes", "--json"],
        ["daemon", "stop"],
    )
]
print("codes", codes)
sys.exit(max(codes))
"""


@cache
def has_namespaces() -> bool:
    """Whether this user may make a namespace without a network, in which even loopback is down."""
    if sys.platform != "linux" or shutil.which("unshare") is None:
        return False
    return subprocess.run(["unshare", "-rn", "true"], capture_output=True, check=False).returncode == 0


@pytest.mark.slow
@pytest.mark.parametrize("where", ["under the hook alone", "without a network"])
def test_a_session_of_the_daemon_touches_no_network(
    homes: Path, shop: Path, tiny_model_dir: Path, tmp_path: Path, where: str
) -> None:
    if where == "without a network" and not has_namespaces():
        pytest.skip("no network namespaces for this user: unshare -rn")
    if where == "under the hook alone" and has_namespaces():
        pytest.skip("the session without a network runs under the hook, too")
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(HOOKED)
    (tmp_path / "told").mkdir()
    paths = [str(tmp_path / "site"), *(str(Path(path).resolve()) for path in sys.path if path)]
    own = {"MODEL_NAME": tiny_model_dir, "TUNE_GUARD": "false", "TUNE_MAX_TOKENS": 64, "GENERATE_MAX_TOKENS": 8}
    environment = {
        **os.environ,
        **{f"VICINAL_{name}": str(value) for name, value in own.items()},
        "PYTHONPATH": os.pathsep.join(paths),
        "TESTED_VICINAL_HOOKED": str(tmp_path / "told"),
    }
    prefix = ["unshare", "-rn"] if where == "without a network" else []
    done = subprocess.run(
        [*prefix, sys.executable, "-c", SESSION, str(shop), "how is a refund recorded"],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "no way out" in done.stdout
    assert '"kind": "fresh"' in done.stdout
    told = tmp_path / "told"
    assert len(list(told.glob("process-*"))) >= 3, "the command line, the daemon and its engine were watched"
    tried = (told / "connected").read_text().splitlines()
    assert [line for line in tried if "192.0.2.1" not in line] == []
    assert len(tried) == 1, "the hook sees what tries"
