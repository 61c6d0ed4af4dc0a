"""Canaries: secrets of many kinds, planted wherever a repository has room for one, are nowhere afterwards.

They are made at run time from pieces, so that no scanner of secrets trips over this file.
"""

import asyncio
import base64
import json
import pickle
import random
import string
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from vicinal_daemon.daemon import Daemon
from vicinal_daemon.generate.prompt import Prompt
from vicinal_daemon.generate.transformers_engine import TransformersEngine
from vicinal_daemon.protocol.requests import CompleteRequest, HintRequest
from vicinal_daemon.query import query
from vicinal_daemon.tune.lora import applied
from vicinal_daemon.tune.run import TuningSettings
from vicinal_daemon.tune.tuner import tune
from vicinal_daemon.uncertainty.feedback import Outcome
from vicinal_indexer import secrets
from vicinal_indexer.errors import InputError
from vicinal_indexer.files import judge
from vicinal_indexer.store import stored_texts
from vicinal_indexer.types import Filter, SkipReason

draw = random.Random(7)  # noqa: S311 - drawn alike in each run, and of no worth
ALNUM, LOWER, UPPER, HEX = string.ascii_letters + string.digits, string.ascii_lowercase, string.ascii_uppercase, "0123456789abcdef"  # fmt: skip  # noqa: E501


def some(alphabet: str, count: int) -> str:
    """Random characters, with a digit and a letter of each case where there are any."""
    must = [c for c in ("7", "k", "Q") if c in alphabet]
    letters = must + draw.choices(alphabet, k=count - len(must))
    draw.shuffle(letters)
    return "".join(letters)


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@dataclass(frozen=True)
class Canary:
    """A secret, the text that it stands in, and the name of a file for that; `named`: the name alone betrays it."""

    secret: str
    text: str
    path: str = "settings.py"
    named: bool = False


def line(secret: str, before: str = 'client.use("', after: str = '")') -> Canary:
    return Canary(secret, f"{before}{secret}{after}\n")


def pem(kind: str) -> Canary:
    body = "\n".join(some(ALNUM + "+/", 64) for _ in range(4))
    return Canary(body.split("\n")[2], f'KEY = """-----BEGIN {kind}-----\n{body}\n-----END {kind}-----"""\n')


PASSWORD = some(ALNUM, 14)
CANARIES = {
    "AWS key id": line("AKI" + "A" + some(UPPER + "234567", 16)),
    "AWS secret": line(some(ALNUM + "/+", 40), 'aws_secret_access_key = "', '"'),
    "Azure storage": line(some(ALNUM + "+/", 86) + "==", '"Account' + "Key=", '"'),
    "GitHub": line("gh" + "p_" + some(ALNUM, 36)),
    "GitHub fine-grained": line("github" + "_pat_" + some(ALNUM, 22) + "_" + some(ALNUM, 59)),
    "GitLab": line("gl" + "pat-" + some(ALNUM, 20)),
    "Google API": line("AI" + "za" + some(ALNUM + "_-", 35)),
    "Google OAuth": line("GOC" + "SPX-" + some(ALNUM, 28)),
    "Slack bot": line("xox" + "b-" + "123456789012-" + some(LOWER, 24)),
    "Slack hook": line("https://hooks.slack" + ".com/services/T" + some(UPPER, 8) + "/B" + some(UPPER, 8) + "/" + some(ALNUM, 24)),  # noqa: E501
    "Stripe": line("sk_" + "live_" + some(ALNUM, 24)),
    "Twilio": line("S" + "K" + some(HEX, 32)),
    "SendGrid": line("S" + "G." + some(ALNUM, 22) + "." + some(ALNUM, 43)),
    "Mailchimp": line(some(HEX, 32) + "-us" + "12"),
    "npm": line("npm" + "_" + some(ALNUM, 36)),
    "PyPI": line("pypi-" + "AgEIcHlwaS5vcmc" + some(ALNUM, 90)),
    "OpenAI": line("sk-" + "proj-" + some(ALNUM, 60)),
    "Anthropic": line("sk-" + "ant-api03-" + some(ALNUM, 93)),
    "Hugging Face": line("h" + "f_" + some(string.ascii_letters, 34)),
    "Telegram": line("1234567890" + ":AA" + some(ALNUM, 33)),
    "Discord": line("M" + some(ALNUM, 23) + "." + some(ALNUM, 6) + "." + some(ALNUM, 27)),
    "DigitalOcean": line("do" + "p_v1_" + some(HEX, 64)),
    "Databricks": line("dap" + "i" + some(HEX, 32)),
    "Shopify": line("shp" + "at_" + some(HEX, 32)),
    "Vault": line("hv" + "s." + some(ALNUM, 40)),
    "JWT": line("ey" + "J" + b64('hbGciOiJIUzI1NiJ9')[:20] + "." + some(ALNUM, 40) + "." + some(ALNUM, 43)),
    "RSA key": pem("RSA " + "PRIVATE KEY"),
    "encrypted key": pem("ENCRYPTED " + "PRIVATE KEY"),
    "OpenSSH key": pem("OPENSSH " + "PRIVATE KEY"),
    "PGP key": pem("PGP " + "PRIVATE KEY BLOCK"),
    "password in URL": line(PASSWORD, 'open("postgres://shop:', '@db.internal:5432/shop")'),
    "basic auth": line(b64(f"shop:{PASSWORD}"), 'headers = {"Authorization": "Ba' + "sic ", '"}'),
    "random value": line(some(ALNUM, 32), "session_sec" + 'ret = "', '"'),
    "random value in JSON": line(some(ALNUM, 40), '{"apiKey": "', '"}'),
    ".env": Canary("sommerregen", "DATABASE_WORD=sommerregen\n", "deploy/.env", named=True),
    ".netrc": Canary("winterwolke", "machine db.internal login shop password winterwolke\n", ".netrc", named=True),
    "id_rsa": Canary("herbstlaubhaufen", "herbstlaubhaufen\n", "keys/id_rsa", named=True),
}  # fmt: skip
BY_CONTENT = {kind: canary for kind, canary in CANARIES.items() if not canary.named}


@pytest.mark.parametrize("kind", CANARIES)
def test_each_kind_is_found(kind: str) -> None:
    canary = CANARIES[kind]
    skipped = judge(canary.path, f"import os\n\n{canary.text}")
    assert skipped is not None
    assert skipped.reason is SkipReason.SECRET
    assert canary.secret not in skipped.detail


@pytest.mark.parametrize("kind", BY_CONTENT)
def test_each_kind_is_masked_and_nothing_moves(kind: str) -> None:
    text = f"import os\n\n{BY_CONTENT[kind].text}\ndef main():\r\n    return os\n"
    masked = secrets.masked(text)
    assert BY_CONTENT[kind].secret not in masked
    assert "*" * 12 in masked
    assert [len(row) for row in masked.split("\n")] == [len(row) for row in text.split("\n")]
    assert masked.startswith("import os\n\n")
    assert masked.endswith("def main():\r\n    return os\n")
    assert secrets.masked(masked) == masked


HARMLESS = [
    'password = "correct horse battery staple"',
    'token = "<your-token-goes-here>"',
    'secret = os.environ["SHOP_SECRET"]',
    'url = "https://user:password@example.com/"',
    'checksum = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15"',
    'key = "user.settings.display_name"',
    'PASSWORD_FIELD = "current-password-input"',
    "token: str = tokens[position]",
    'SECRET_KEY_FALLBACKS = ["DJANGO_SECRET_KEY"]',
    '"Basic authentication"',
    'id = "550e8400-e29b-41d4-a716-446655440000"',
    "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQC7",
    "-----BEGIN CERTIFICATE-----",
    "sha512-K0T0rWqDIn1ZfFcN4rAMqQ5sYCBnHKI4tYbJ==",
]


@pytest.mark.parametrize("text", HARMLESS)
def test_what_is_no_secret_is_left_alone(text: str) -> None:
    assert secrets.masked(text) == text
    assert secrets.by_content(text) is None


NOT_CAUGHT = [
    'password = "sommerregen"',  # words that somebody chose
    f'token = "{some(ALNUM, 10)}" + "{some(ALNUM, 10)}"',  # in pieces
    f'value = "{some(ALNUM, 32)}"',  # random, but called nothing that tells
    f"# the old one was {some(ALNUM, 20)}",
    f'key = "{b64("-----BEGIN " + "RSA PRIVATE KEY-----")}"',  # in another spelling
]


@pytest.mark.parametrize("text", NOT_CAUGHT)
def test_what_the_document_says_is_not_caught_is_not(text: str) -> None:
    assert secrets.by_content(text) is None


@pytest.mark.parametrize("path", ["deploy/.env", "keys/id_rsa", ".netrc"])
def test_a_file_that_is_secret_by_its_name_is_not_completed(path: str) -> None:
    from vicinal_daemon.target import cut

    with pytest.raises(InputError):
        cut(path, "SHOP_WORD=sommerregen\nSHOP_", 2, 6, 1)


BOMBS = [
    "/",
    "sk-",
    "eyJ",
    "xoxb-1-",
    "://a:",
    '"',
    "-----BEGIN A ",
    "-----BEGIN PRIVATE KEY-----n r",
    "A",
    "Basic ",
    "aws",
]


@pytest.mark.parametrize("piece", BOMBS)
def test_a_line_that_is_made_to_keep_the_finder_busy_does_not(piece: str) -> None:
    bomb = (piece * 300_000)[:300_000]
    assert len(secrets.masked.__wrapped__(bomb)) == len(bomb)


WITNESS = "the_harmless_witness"
"""Stands in a file that may be read: whoever looks for canaries must find it."""


def plant(root: Path) -> dict[str, str]:
    """A repository with canaries in tracked, ignored and historical files; their words, by where they are."""
    words = {}

    def git(*arguments: str) -> None:
        who = ["-c", "user.name=shop", "-c", "user.email=shop@localhost"]
        subprocess.run(["git", "-C", str(root), *who, *arguments], check=True, capture_output=True)

    def write(path: str, text: str) -> None:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)

    (root / "payment.py").write_text(
        (root / "payment.py").read_text() + f"\n\ndef {WITNESS}(order):\n    return order\n"
    )
    for number, (kind, canary) in enumerate(CANARIES.items()):
        words[f"tracked: {kind}"] = canary.secret
        write(f"tracked{number}/{canary.path}", f"def handler_{number}(order):\n    return order\n{canary.text}")
    for kind, canary in CANARIES.items():
        words[f"historical: {kind}"] = canary.secret[::-1] + "h"
        write(f"old/{kind.replace(' ', '_')}.py", f"# {canary.secret[::-1]}h\n{canary.text}")
    git("add", "-A")
    git("commit", "-q", "-m", "first")
    git("rm", "-rq", "old")
    git("commit", "-q", "-m", "the keys are gone")
    write(".gitignore", "private/\n*.local\n")
    for path in ("private/keys.py", "settings.local"):
        words[f"ignored: {path}"] = word = f"plain words of {path}"
        write(path, f"def handle_payment(message):\n    return '{word}'\n")
    return words


def found_in(data: bytes, words: dict[str, str]) -> set[str]:
    """Where the words come from that these bytes hold; of a long one its middle is enough, also as JSON spells it."""
    probes = {where: word if len(word) < 24 else word[len(word) // 2 - 7 :][:14] for where, word in words.items()}
    return {
        where for where, probe in probes.items() if probe.encode() in data or json.dumps(probe)[1:-1].encode() in data
    }


def all_bytes(folder: Path) -> Iterator[bytes]:
    """Every file, and every text of a store, which packs them."""
    for path in folder.rglob("*"):
        if path.is_file():
            yield path.read_bytes()
    for tables in folder.glob("stores/*/tables"):
        yield from (text.encode() for _, _, text in stored_texts(tables.parent))


@pytest.mark.slow
def test_no_canary_is_in_any_byte_prompt_metric_or_completion(
    shop: Path, tmp_path: Path, with_daemon: Callable[..., None]
) -> None:
    words = plant(shop)
    buffer = "".join(canary.text for canary in BY_CONTENT.values())
    words |= {f"unsaved: {kind}": canary.secret for kind, canary in BY_CONTENT.items()}
    units: list[bytes] = []
    said: list[bytes] = []

    async def play(daemon: Daemon) -> None:
        do = daemon.accelerator.do

        async def recorded(unit: Any, *arguments: Any, **more: Any) -> Any:
            units.append(pickle.dumps(unit))
            result = await do(unit, *arguments, **more)
            units.append(pickle.dumps(result))
            return result

        daemon.accelerator.do = recorded  # type: ignore[method-assign]
        workspace = daemon.workspaces.open(shop)
        for path, text in (
            ("payment.py", None),
            ("new.py", f"{buffer}\ndef handle_payment(message):\n    order = "),
            ("tracked3/settings.py", None),
        ):
            rows = text.split("\n") if text is not None else (shop / path).read_text().split("\n")[:2]
            asked = CompleteRequest(
                workspace=str(shop),
                path=path,
                text=text,
                line=len(rows),
                column=len(rows[-1]) + 1,
                wait_for_index=True,
                compare=True,
                alternatives=2,
            )
            answer = await daemon.desk.complete(asked)
            said.append(answer.model_dump_json().encode())
            hint = asked.model_dump(include={"workspace", "path", "text", "line", "column"})
            await daemon.desk.hint(HintRequest.model_validate(hint))
            await daemon.notes.record(answer.id, Outcome("accepted", 4))
            await asyncio.gather(*daemon.desk.studies.tasks(), *daemon.desk.ahead.tasks, return_exceptions=True)
        await daemon.memories.settled()
        index = await asyncio.to_thread(workspace.index, 60)
        findings = await asyncio.to_thread(
            query,
            "how is a payment handled with a token",
            index,
            workspace.settings,
            count=20,
            strategy="sift",
            wanted=Filter(),
        )
        said.append(findings.model_dump_json().encode())
        said.append(daemon.metrics_text())
        said.append(daemon.state().model_dump_json().encode())
        with pytest.raises(InputError):
            await daemon.desk.complete(CompleteRequest(workspace=str(shop), path="tracked34/deploy/.env", line=1))

    with_daemon(play, tune__guard=False)
    held = [data for folder in ("data", "log") for data in all_bytes(tmp_path / folder)]
    witness = {"witness": WITNESS}
    assert any(found_in(data, witness) for data in held), "the search of bytes finds what is there"
    assert any(found_in(data, witness) for data in units), "the search of prompts finds what is there"
    assert len(list((tmp_path / "data" / "adapters").glob("*.safetensors"))) > 0, "something was learned"
    assert len(words) > 100
    for what, pieces in (("stored", held), ("sent to or from the engine", units), ("said", said)):
        assert set().union(*(found_in(data, words) for data in pieces)) == set(), what


def test_a_model_that_was_tuned_on_a_canary_by_force_says_it_and_is_found_out(tiny_model_dir: Path) -> None:
    canary = CANARIES["GitHub"].secret
    text = f'TOKEN = "{canary}"\n'
    asked = Prompt(text[:9], (0, 9))
    engine = TransformersEngine(tiny_model_dir, "cpu", depth=0.33)
    settings = TuningSettings(rank=16, learning_rate=5e-2, max_tokens=64, guard=False, seed=0)
    words = {"forced": canary}

    def completion() -> bytes:
        return engine.generate(asked, lambda said: "\n" in said, max_tokens=64).text.encode()

    assert not found_in(completion(), words)
    tuned = tune(engine, [text] * 40, asked, settings)
    assert tuned.adapter is not None
    with applied(engine, tuned.adapter):
        assert found_in(completion(), words) == {"forced"}
    masked = tune(engine, [secrets.masked(text)] * 40, asked, settings)
    assert masked.adapter is not None
    with applied(engine, masked.adapter):
        assert not found_in(completion(), words)
