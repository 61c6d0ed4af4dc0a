"""The whole job on a real repository, real index, real LoRA, small real model."""

import json
from pathlib import Path

import pytest

from vicinal_daemon import config
from vicinal_daemon.complete import complete, prompt_for
from vicinal_daemon.config import Settings
from vicinal_daemon.generate.transformers_engine import TransformersEngine
from vicinal_daemon.neighbourhood import choose, find_candidates
from vicinal_daemon.protocol import Answer
from vicinal_daemon.stages import Stopwatch
from vicinal_daemon.target import Target, parse_location, read_target
from vicinal_daemon.uncertainty import Belief
from vicinal_daemon.uncertainty.calibration import default_calibration
from vicinal_daemon.uncertainty.reasons import SURE
from vicinal_indexer.index import RepositoryIndex

NAMES = ("payment", "refund", "shipment", "return", "invoice", "discount")
LINE = 11  # of voucher.py: the line that says SECRET_NAME stands on the next


def settings(**flags: object) -> Settings:
    flat = {"prompt.context_tokens": 128, "tune.max_tokens": 64, "tune.rank": 4, "generate.max_tokens": 12}
    return config.load(None, {**flat, **{key.replace("__", "."): value for key, value in flags.items()}}, {}, None)


@pytest.fixture(scope="module")
def engine(tiny_model_dir: Path) -> TransformersEngine:
    return TransformersEngine(tiny_model_dir, "cpu")


def target_in(shop: Path, line: int = LINE, lines: int = 1) -> Target:
    return read_target(shop, parse_location(f"{shop}/shop/voucher.py:{line}"), lines)


def answer(shop: Path, homes: Path, engine: TransformersEngine, **flags: object) -> Answer:
    chosen = settings(**flags)
    with RepositoryIndex.open(shop, homes) as index:
        index.sync()
        return complete(
            target_in(shop),
            index,
            engine,
            chosen,
            repository=str(shop),
            skipped_files=0,
            watch=Stopwatch(),
            belief=Belief(default_calibration().calibrator),
        )


def test_an_answer_has_text_evidence_and_a_score(shop: Path, homes: Path, engine: TransformersEngine) -> None:
    got = answer(shop, homes, engine)
    assert got.adaptation.steps > 0
    assert {piece.path for piece in got.evidence} & {f"shop/{name}.py" for name in NAMES}
    assert sum(piece.share for piece in got.evidence) == pytest.approx(1.0)
    assert 0 <= got.confidence.value <= 1
    assert 0 < got.confidence.similarity <= 1
    assert got.confidence.least_token in got.completion.text
    assert (got.confidence.reasons == []) == (got.confidence.value >= SURE or not got.completion.text)
    assert got.confidence.sigma_inf <= got.confidence.sigma_n < got.confidence.sigma_0
    assert got.confidence.curve[0] == got.confidence.sigma_0
    assert {"candidates", "select", "tune", "guard", "generate", "base"} <= got.seconds.keys()


def test_same_inputs_same_answer(shop: Path, homes: Path, engine: TransformersEngine) -> None:
    first, second = (
        answer(shop, homes, engine).model_dump(exclude={"seconds", "base", "completion"}) for _ in range(2)
    )
    texts = [answer(shop, homes, engine).completion.text for _ in range(2)]
    assert first == second
    assert texts[0] == texts[1]


def test_what_is_completed_is_nowhere_in_what_the_model_sees(
    shop: Path, homes: Path, engine: TransformersEngine
) -> None:
    target = target_in(shop, line=12)
    assert "secret_of_line_eleven" in target.hidden
    chosen = settings()
    with RepositoryIndex.open(shop, homes) as index:
        index.sync()
        chunks = find_candidates(index, engine.codec.offsets, target, chosen)
    choice = choose(chunks, target, chosen, "sift")
    prompt = prompt_for(target, choice.snippets(4), engine, chosen)
    assert chunks
    assert not any("secret_of_line_eleven" in chunk.text for chunk in chunks)
    assert "secret_of_line_eleven" not in prompt.text


def test_what_the_prompt_shows_is_no_candidate(shop: Path, homes: Path, engine: TransformersEngine) -> None:
    target = target_in(shop)
    with RepositoryIndex.open(shop, homes) as index:
        index.sync()
        chunks = find_candidates(index, engine.codec.offsets, target, settings(prompt__context_tokens=512))
    assert not any(chunk.path == "shop/voucher.py" and chunk.start_line <= LINE for chunk in chunks)


def test_strategy_none_and_no_steps_leave_the_base_alone(shop: Path, homes: Path, engine: TransformersEngine) -> None:
    nothing = answer(shop, homes, engine, select__strategy="none")
    assert nothing.evidence == []
    assert nothing.adaptation.kind == "base"
    bare = answer(shop, homes, engine, select__strategy="none", memory__enabled=False)
    assert bare.completion.text == bare.base.text == nothing.base.text
    prompt_only = answer(shop, homes, engine, tune__steps=0)
    assert prompt_only.adaptation.steps == 0
    assert any(piece.in_prompt for piece in prompt_only.evidence)
    weights_only = answer(shop, homes, engine, prompt__picks=0)
    assert weights_only.adaptation.steps > 0
    assert not any(piece.in_prompt for piece in weights_only.evidence)


def test_the_memory_writes_what_stands_elsewhere_but_not_what_is_hidden(
    shop: Path, homes: Path, engine: TransformersEngine
) -> None:
    more = {"select__strategy": "none", "memory__enabled": True, "generate__max_tokens": 40}
    (shop / "shop" / "lent.py").write_text("def lend(order):\n    return order.lent_to_somebody(today)\n")
    voucher = shop / "shop" / "voucher.py"
    rows = voucher.read_text().split("\n")
    rows[LINE - 1 :] = ["def lend(order):", "    return order.lent_to_nobody_at_all(today)", ""]
    voucher.write_text("\n".join(rows))
    place = f"{voucher}:{LINE + 1}:23"
    with RepositoryIndex.open(shop, homes) as index:
        index.sync()
        got = complete(
            read_target(shop, parse_location(place), 1),
            index,
            engine,
            settings(**more),
            repository=str(shop),
            skipped_files=0,
            watch=Stopwatch(),
            belief=Belief(default_calibration().calibrator),
        )
    assert got.completion.text == "to_somebody(today)"
    assert got.base is not None
    assert "somebody" not in got.base.text
    assert got.seconds["memory"] > 0


def test_the_repository_is_only_read(shop: Path, homes: Path, engine: TransformersEngine) -> None:
    def state() -> dict[str, tuple[int, bytes]]:
        return {
            str(path.relative_to(shop)): (path.stat().st_mtime_ns, path.read_bytes())
            for path in shop.rglob("*")
            if path.is_file()
        }

    before = state()
    answer(shop, homes, engine)
    assert state() == before


def test_the_documented_schema_is_the_real_one() -> None:
    documented = json.loads((Path(__file__).parents[2] / "docs" / "answer.schema.json").read_text())
    assert documented == Answer.model_json_schema()
