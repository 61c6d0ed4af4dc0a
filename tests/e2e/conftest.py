"""A small repository with one thing worth knowing, and a model to complete it with."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

HANDLER = '''"""Handle {name} messages."""

from shop.base import Handler, Receipt


class {title}Handler(Handler):
    """Turns a {name} message into a receipt."""

    def handle(self, message: dict[str, str]) -> Receipt:
        order = self.ledger.find_order(message["{name}_id"])
        self.audit.record("{name}", order.number, actor=message["actor"])
        return Receipt(order.number, status="{name}", amount=order.total_in_cents)
'''
NAMES = ("payment", "refund", "shipment", "return", "invoice", "discount")
SECRET_NAME = "secret_of_line_eleven"


def write_shop(root: Path) -> Path:
    """A git repository of handlers that are written alike; the last one is only begun."""
    package = root / "shop"
    package.mkdir(parents=True)
    (package / "base.py").write_text(
        "class Receipt:\n    def __init__(self, number, status, amount):\n        self.number = number\n"
        "        self.status = status\n        self.amount = amount\n\n\n"
        "class Handler:\n    def __init__(self, ledger, audit):\n"
        "        self.ledger = ledger\n        self.audit = audit\n"
    )
    for name in NAMES:
        (package / f"{name}.py").write_text(HANDLER.format(name=name, title=name.title()))
    (package / "voucher.py").write_text(
        HANDLER.format(name="voucher", title="Voucher").replace("order.total_in_cents", SECRET_NAME)
    )
    subprocess.run(["git", "init", "-q", str(root)], check=True)
    return root


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A repository of the test's own."""
    return write_shop(tmp_path / "shop")


@pytest.fixture(scope="module")
def shared_shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same for all tests of a module, which leave it as it is."""
    return write_shop(tmp_path_factory.mktemp("shared") / "shop")


@pytest.fixture
def homes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Vicinal's data folder, away from the user's; settings from nowhere else; and a place where no daemon runs."""
    with TemporaryDirectory(prefix="vcl") as folder:  # short: a socket's path has a limit
        monkeypatch.setenv("VICINAL_DAEMON_FOLDER", f"{folder}/run")
        monkeypatch.setenv("VICINAL_DAEMON_LOG_DIR", f"{folder}/logs")
        monkeypatch.setenv("VICINAL_INDEX_DATA_DIR", str(tmp_path / "data"))
        monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
        yield tmp_path / "data"
