"""A small repository with one thing worth knowing, and a model to complete it with."""

import subprocess
from pathlib import Path

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


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A git repository of handlers that are written alike; the last one is only begun."""
    root = tmp_path / "shop"
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
def homes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Vicinal's data folder, away from the user's; and settings from nowhere else."""
    monkeypatch.setenv("VICINAL_INDEX_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path / "data"
