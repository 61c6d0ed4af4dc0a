"""`vicinal forget` through the command line, with a real daemon and without one."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from vicinal_daemon import client, config
from vicinal_daemon.cli.app import run
from vicinal_daemon.client import Client
from vicinal_daemon.protocol.requests import CompleteRequest, FeedbackRequest
from vicinal_daemon.protocol.state import ForgottenState
from vicinal_daemon.tune.adapter_file import read_info
from vicinal_daemon.uncertainty.beliefs import name_of
from vicinal_daemon.uncertainty.feedback import AnswerFeatures, FeedbackStore, feedback_file
from vicinal_indexer.files import walk
from vicinal_indexer.index import RepositoryIndex
from vicinal_indexer.traces import search

TELLING = "def the_quantum_ledger_of_zebras(order):"


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    def ask(*arguments: str) -> str:
        capsys.readouterr()
        code = run(list(arguments))
        captured = capsys.readouterr()
        assert code == 0, captured.err
        return captured.out

    return ask


@pytest.fixture
def telling_shop(shop: Path) -> Path:
    (shop / "shop" / "ledger.py").write_text(f"{TELLING}\n    return order.stripes_in_the_ledger\n")
    return shop


def test_a_file_is_forgotten_and_stays_out(
    homes: Path, telling_shop: Path, said: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    said("index", str(telling_shop))
    assert search(homes, {TELLING}).found
    path = str(telling_shop / "shop" / "ledger.py")
    monkeypatch.setattr("typer.confirm", lambda *args, **kwargs: pytest.fail("--yes asks nothing"))
    told = json.loads(said("forget", path, "--yes", "--json"))
    assert told["files"] == ["shop/ledger.py"]
    assert told["excluded"] == ["/shop/ledger.py"]
    assert told["proof"]["found"] == []
    assert told["proof"]["lines"] == 2
    assert told["proof"]["texts"] > 0
    assert "8 files" not in said("index", str(telling_shop))
    assert not search(homes, {TELLING}).found
    again = said("forget", path, "--yes")
    assert "forgot 0 indexed files" in again
    assert "none is left" in again


def test_everything_of_a_repository_is_forgotten_even_when_it_is_gone(
    homes: Path, telling_shop: Path, said: Callable[..., str]
) -> None:
    said("index", str(telling_shop))
    telling_shop.rename(telling_shop.with_name("moved"))
    told = said("forget", "all", "--repo", str(telling_shop), "--yes")
    assert "none is left" in told
    assert not [path for path in homes.rglob("*.lance") if path.is_file()]
    assert not (telling_shop.with_name("moved") / ".vicinalignore").exists()


def test_nothing_is_done_unless_the_user_agrees(
    homes: Path, telling_shop: Path, monkeypatch: pytest.MonkeyPatch, said: Callable[..., str]
) -> None:
    said("index", str(telling_shop))
    monkeypatch.setattr("typer.confirm", lambda *args, **kwargs: (_ for _ in ()).throw(KeyboardInterrupt))
    assert run(["forget", str(telling_shop / "shop" / "ledger.py")]) == 130
    assert search(homes, {TELLING}).found
    assert not (telling_shop / ".vicinalignore").exists()


@pytest.mark.usefixtures("homes")
def test_what_cannot_be_meant_is_refused(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for wrong in (["all", "x"], [str(shop)], [f"{shop}/../elsewhere.py", "--repo", str(shop)]):
        assert run(["forget", *wrong, "--yes"]) == 2
        assert "hint:" in capsys.readouterr().err


def test_lines_that_another_repository_has_are_its_own(
    homes: Path, telling_shop: Path, tmp_path: Path, said: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / "ledger.py").write_text((telling_shop / "shop" / "ledger.py").read_text())
    said("index", str(telling_shop))
    said("index", str(tmp_path / "copy"))
    assert run(["forget", str(telling_shop / "shop" / "ledger.py"), "--yes"]) == 0
    assert "another repository" in capsys.readouterr().err


def test_a_trace_that_is_left_fails_the_command(
    homes: Path, telling_shop: Path, said: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    said("index", str(telling_shop))
    (homes / "somebody's notes.txt").write_text(TELLING)
    assert run(["forget", str(telling_shop / "shop" / "ledger.py"), "--yes"]) == 3
    assert "notes.txt" in capsys.readouterr().err


def features(root: Path) -> AnswerFeatures:
    values = dict.fromkeys(
        ["value", "sigma_0", "sigma_n", "sigma_inf", "explained", "token_probability", "least_probability", "nearness"],
        0.5,
    )
    return AnswerFeatures(
        **values, tokens=1, characters=1, lines=1, kind="base", steps=0, trigger="invoked", language="python",
        model="tiny", repository=name_of(str(root)),
    )  # fmt: skip


def test_noted_answers_go_with_the_files_that_they_rest_on(tmp_path: Path) -> None:
    store = FeedbackStore(feedback_file(tmp_path))
    for answer, paths in (("one", ["a/b/c.py"]), ("two", ["a/bb.py", "d.py"]), ("three", ["e.py"])):
        store.record_answer(answer, features(tmp_path), paths)
    with store._using() as connection:  # as an older version left it
        connection.execute("DELETE FROM sources WHERE answer = 'three'")
    assert store.forget("another", None) == 0
    assert store.forget(name_of(str(tmp_path)), {"a/b"}) == 2
    assert [told.id for told in store.told()] == ["two"]
    assert store.forget(name_of(str(tmp_path)), {"d.py"}) == 1
    store.close()
    assert b"c.py" not in feedback_file(tmp_path).read_bytes(), "no path is noted"


@pytest.mark.slow
def test_a_daemon_forgets_all_that_it_learned(
    homes: Path, telling_shop: Path, tiny_model_dir: Path, said: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"MODEL_NAME": str(tiny_model_dir), "TUNE_GUARD": "false", "TUNE_MAX_TOKENS": "64",
                        "PROMPT_CONTEXT_TOKENS": "128", "GENERATE_MAX_TOKENS": "12"}.items():  # fmt: skip
        monkeypatch.setenv(f"VICINAL_{name}", value)
    connection = client.start(config.load())
    try:
        with Client(connection) as daemon:
            asked = CompleteRequest(
                workspace=str(telling_shop),
                path="shop/new.py",
                text=f"{TELLING[:-1]}:\n    return order.",
                line=2,
                column=18,
                wait_for_index=True,
                settings={"tune.steps": 4},
            )
            answer = daemon.complete(asked)
            assert "shop/ledger.py" in {piece.path for piece in answer.evidence}
            assert answer.adaptation.kind == "fresh"
            daemon.feedback(FeedbackRequest(id=answer.id, event="accepted"))
            adapters = list((homes / "adapters").glob("*.safetensors"))
            assert any(pick.path == "shop/ledger.py" for file in adapters for pick in read_info(file).picks)
            engine = daemon.status().model.pid
            told = ForgottenState.model_validate(
                {
                    key: value
                    for key, value in json.loads(
                        said("forget", str(telling_shop / "shop" / "ledger.py"), "--yes", "--json")
                    ).items()
                    if key in ForgottenState.model_fields
                }
            )
            assert (told.adapters, told.answers) == (1, 1)
            assert not list((homes / "adapters").glob("*.safetensors"))
            assert daemon.feedback_state().answers == 0
            assert not search(homes, {TELLING}).found
            again = daemon.complete(asked)
            assert not again.typed_ahead
            assert "shop/ledger.py" not in {piece.path for piece in again.evidence}
            assert daemon.status().model.pid != engine, "what the engine had in memory is gone with its process"
            assert "everything" in said("forget", "all", "--repo", str(telling_shop), "--yes")
            assert not daemon.status().workspaces
            assert not list((homes / "adapters").glob("*.safetensors"))
    finally:
        client.stop(connection)
    with RepositoryIndex.open(telling_shop, homes) as index:
        index.sync()
        assert "shop/ledger.py" not in index.digests()
    assert "shop/ledger.py" not in {stat.path for stat in walk(telling_shop)[0]}
