"""The embedded default model: what the demo promises, on a repository where it can be checked."""

from pathlib import Path

import pytest

from vicinal_daemon import config
from vicinal_daemon.evaluate.measure import Lab, measure_task
from vicinal_daemon.evaluate.modes import GROUPS
from vicinal_daemon.evaluate.reading import Reader
from vicinal_daemon.evaluate.tasks import cut
from vicinal_daemon.generate.llama import LlamaEngine
from vicinal_daemon.generate.prompt import Prompt
from vicinal_daemon.generate.transformers_engine import TransformersEngine
from vicinal_daemon.models import ModelFiles, resolve
from vicinal_daemon.tune.wardrobe import Wardrobe
from vicinal_indexer.index import RepositoryIndex

pytestmark = [pytest.mark.model, pytest.mark.slow]


@pytest.fixture(scope="module")
def files() -> ModelFiles:
    return resolve("smollm2-135m", config.load(None, {}, {}, None).model.cache_dir)


def test_studying_the_repository_makes_its_idiom_cheaper_to_spell(shop: Path, homes: Path, files: ModelFiles) -> None:
    text = (shop / "shop" / "payment.py").read_text()
    settings = config.load(None, {"tune.steps": 3, "tune.max_tokens": 160}, {}, None)
    engine = TransformersEngine(files.transformers_dir, "cpu")
    with RepositoryIndex.open(shop, homes) as index:
        index.sync()
        with Wardrobe(engine) as wardrobe:
            lab = Lab("shop", engine, wardrobe, Reader(engine, settings), index, settings)
            records = list(measure_task(lab, cut("line", "shop/payment.py", text, 10, 3), GROUPS["quick"]))
    bits = {record.mode: record.bits for record in records}
    assert bits["tune:sift"] < bits["in-file"]
    assert bits["prompt:sift"] < bits["in-file"]
    assert bits["tune:sift+prompt:sift"] < bits["in-file"]


@pytest.mark.llama
def test_both_engines_say_the_same(files: ModelFiles, tmp_path: Path) -> None:
    pytest.importorskip("llama_cpp", reason="the extra vicinal[llama] is not installed")
    assert files.gguf is not None
    text = "# numbers.py\ndef add(first, second):\n    return first + second\n\n\ndef subtract(first, second):\n    ret"
    prompt = Prompt(text, (0, len(text)))
    torch = TransformersEngine(files.transformers_dir, "cpu")
    llama = LlamaEngine(files.gguf, files.transformers_dir, files.name, torch.codec, 2, tmp_path / "layout.json")
    said = [engine.generate(prompt, lambda text: "\n" in text, max_tokens=16) for engine in (llama, torch)]
    llama.close()
    assert said[0].text == said[1].text
    assert "first - second" in said[0].text
    assert said[0].log_probabilities == pytest.approx(said[1].log_probabilities, abs=0.1)
