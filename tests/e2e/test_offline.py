"""Nothing connects anywhere: the whole job runs under an audit hook that forbids sockets."""

import subprocess
import sys
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
