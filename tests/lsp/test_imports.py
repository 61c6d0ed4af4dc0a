"""The language server starts fast and small: its package and all it may share load neither torch nor lancedb."""

import subprocess
import sys


def test_the_language_server_loads_neither_torch_nor_lancedb() -> None:
    code = (
        "import sys, vicinal_lsp, vicinal_daemon.protocol, vicinal_daemon.errors; "
        "print([name for name in ('torch', 'lancedb', 'transformers') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
