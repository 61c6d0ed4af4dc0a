"""llama.cpp on small real models of two families: it says what torch says, with and without adapters."""

import hashlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vicinal_daemon.errors import ModelDamaged, ModelUnusable
from vicinal_daemon.generate.codec import Codec
from vicinal_daemon.generate.llama import LlamaEngine, Lora
from vicinal_daemon.generate.llama.copies import file_to_read
from vicinal_daemon.generate.llama.layout import interleaved, layout_of, see_layout
from vicinal_daemon.generate.opening import LlamaFiles, engine_for, open_llama
from vicinal_daemon.generate.prefix import KEPT
from vicinal_daemon.generate.prompt import Prompt
from vicinal_daemon.generate.transformers_engine import TransformersEngine
from vicinal_daemon.models.tiny import Family, write_tiny_gguf, write_tiny_model
from vicinal_daemon.tune.lora import Adapter, AttachedLora, applied
from vicinal_daemon.worker.writers import lora_of

pytest.importorskip("llama_cpp", reason="the extra vicinal[llama] is not installed")
pytestmark = pytest.mark.llama

TEXT = "def total(items):\n    return sum(items)\n\n\ndef mean(items):\n"
PROMPT = Prompt(TEXT, (0, len(TEXT)))
RANK = 4
NEAR = 2e-2
"""Of log-probabilities: llama.cpp keeps keys and values in float16."""


class Pair:
    """One model in both engines, and adapters of all its layers."""

    def __init__(self, folder: Path, family: Family) -> None:
        self.folder = write_tiny_model(folder / "model", family=family)
        self.gguf = write_tiny_gguf(folder / "model.gguf", self.folder, family)
        self.torch = TransformersEngine(self.folder, "cpu", depth=1.0)
        self.llama = LlamaEngine(
            self.gguf, self.folder, "tiny", self.torch.codec, 1, self.gguf.with_name("layout.json")
        )
        lora = AttachedLora(self.torch.model, RANK)
        self._shapes = {name: value.shape for name, value in lora.tensors("serve").items()}
        lora.detach()
        self.by_torch = cache(self._by_torch)
        self.adapter = cache(self._adapter)

    def _adapter(self, seed: int, scale: float = 1.0) -> Adapter:
        generator = torch.Generator().manual_seed(seed)
        drawn = {name: torch.randn(shape, generator=generator) * 0.3 for name, shape in self._shapes.items()}
        return Adapter({name: value.half() for name, value in drawn.items()}, RANK, scale)

    def _by_torch(self, adapter: Adapter | None, prompt: Prompt = PROMPT) -> tuple[str, tuple[float, ...]]:
        with applied(self.torch, adapter):
            made = self.torch.generate(prompt, lambda text: False, max_tokens=6)
        return made.text, made.log_probabilities

    def by_llama(self, under: str, adapter: Adapter | None, prompt: Prompt = PROMPT) -> tuple[str, tuple[float, ...]]:
        lora = lora_of(adapter) if adapter is not None else None
        made = self.llama.generate_under(under, prompt, lambda text: False, max_tokens=6, lora=lora)
        return made.text, made.log_probabilities


@pytest.fixture(scope="module", params=["llama", "qwen2"])
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    made = Pair(tmp_path_factory.mktemp(request.param), request.param)
    yield made
    made.llama.close()


def same(one: tuple[str, tuple[float, ...]], other: tuple[str, tuple[float, ...]]) -> bool:
    return one[0] == other[0] and one[1] == pytest.approx(other[1], abs=NEAR)


def test_both_engines_say_the_same_with_and_without_adapters(pair: Pair) -> None:
    adapters = {"base": None, "one": pair.adapter(1), "other": pair.adapter(2), "half": pair.adapter(1, 0.5)}
    said = {name: pair.by_torch(adapter) for name, adapter in adapters.items()}
    assert len(set(said.values())) == 4
    for name in ("base", "one", "base", "other", "half", "one", "base"):
        assert same(pair.by_llama(name, adapters[name]), said[name]), name


def test_what_is_worn_is_taken_off_bit_for_bit(pair: Pair) -> None:
    before = pair.by_llama("before", None)
    pair.by_llama("one", pair.adapter(1))
    assert pair.by_llama("after", None) == before


def test_only_what_is_new_is_read(pair: Pair) -> None:
    longer = Prompt(TEXT + "    return total(items) / len(", (0, len(TEXT)))
    pair.llama.forget("kept")
    first = pair.llama.generate_under("kept", PROMPT, lambda text: True, max_tokens=4)
    again = pair.llama.generate_under("kept", PROMPT, lambda text: True, max_tokens=4)
    grown = pair.llama.generate_under("kept", longer, lambda text: True, max_tokens=4)
    other = pair.llama.generate_under("another", PROMPT, lambda text: True, max_tokens=4)
    assert first.read_tokens == first.prompt_tokens == other.read_tokens
    assert again.read_tokens == 1
    assert again.text == first.text
    assert again.log_probabilities == pytest.approx(first.log_probabilities, abs=NEAR)
    assert 0 < grown.read_tokens < grown.prompt_tokens - first.prompt_tokens + 4
    assert pair.llama.generate_under(None, longer, lambda text: True, max_tokens=4).text == grown.text


@given(plan=st.lists(st.tuples(st.integers(0, KEPT), st.integers(0, 3)), min_size=1, max_size=12))
@settings(max_examples=10, deadline=None)
def test_whatever_was_read_before_the_answer_is_the_same(pair: Pair, plan: list[tuple[int, int]]) -> None:
    """More names than streams, texts that grow and shrink: a KV cache is never taken for another's."""
    texts = [TEXT, TEXT + "    return", TEXT + "    return total(items)\n", "import sys\n\n" + TEXT]
    adapters = [None, *(pair.adapter(seed) for seed in range(1, KEPT + 1))]
    for number, text in plan:
        prompt = Prompt(texts[text], (0, len(texts[text])), heals=False)
        (_, ours), (_, theirs) = (
            pair.by_llama(f"plan {number}", adapters[number], prompt),
            pair.by_torch(adapters[number], prompt),
        )
        # Of the first token: behind it, two that are almost as likely may part the ways.
        assert ours[0] == pytest.approx(theirs[0], abs=NEAR)


def test_a_forgotten_adapter_is_taken_in_anew(pair: Pair) -> None:
    pair.by_llama("name", pair.adapter(1))
    pair.llama.forget("name")
    assert same(pair.by_llama("name", pair.adapter(2)), pair.by_torch(pair.adapter(2)))


def test_cancelled_reading_ends_and_what_was_read_is_kept(pair: Pair) -> None:
    long = Prompt("value = 1\n" * 200, (0, 10), heals=False)
    asked = iter([False, True])
    stopped = pair.llama.generate_under("long", long, lambda text: True, max_tokens=2, cancelled=lambda: next(asked))
    assert stopped.tokens == 0
    whole = pair.llama.generate_under("long", long, lambda text: True, max_tokens=2)
    assert 0 < whole.read_tokens < whole.prompt_tokens


def test_a_prompt_that_is_too_long_is_a_typed_error(pair: Pair) -> None:
    long = Prompt("value = 1\n" * 1000, (0, 10))
    with pytest.raises(ModelUnusable, match="too many"):
        pair.llama.generate(long, lambda text: True, max_tokens=1)


def test_the_layout_is_seen_not_known(pair: Pair, tmp_path: Path) -> None:
    modules = lora_of(pair.adapter(1)).one_layer()
    assert len(modules) == 7
    layout = see_layout(pair.gguf, pair.folder, modules)
    mixed = {kind: heads for kind, heads in layout.heads.items() if heads}
    assert mixed == ({"attn_q": 4, "attn_k": 2} if layout.architecture == "llama" else {})
    stranger = write_tiny_model(tmp_path / "stranger", seed=9)
    with pytest.raises(ModelUnusable, match="is not"):
        see_layout(pair.gguf, stranger, modules)


def test_a_layout_is_noted_and_what_was_not_compared_is_looked_at_anew(pair: Pair, tmp_path: Path) -> None:
    modules, note, gone = lora_of(pair.adapter(1)).one_layer(), tmp_path / "new" / "layout.json", tmp_path / "gone"
    some = layout_of(pair.gguf, pair.folder, modules[:2], note)
    assert layout_of(gone, gone, modules[:2], note) == some
    whole = layout_of(pair.gguf, pair.folder, modules, note)
    assert whole.heads.keys() > some.heads.keys()
    assert layout_of(gone, gone, modules, note) == whole
    note.write_text("{")
    assert layout_of(pair.gguf, pair.folder, modules, note) == whole
    assert layout_of(pair.gguf, pair.folder, modules, pair.gguf / "no folder") == whole


def test_an_adapter_of_another_model_is_refused(pair: Pair) -> None:
    good = lora_of(pair.adapter(1))
    for wrong in (
        {"strange": np.zeros(1)},
        {name: value for name, value in good.tensors.items() if "lora_A" in name},
        {name.replace("q_proj", "x_proj"): value for name, value in good.tensors.items()},
        {name: value[..., :2] for name, value in good.tensors.items()},
    ):
        with pytest.raises(ModelUnusable):
            pair.llama.generate_under("wrong", PROMPT, lambda text: True, max_tokens=1, lora=Lora(wrong, 4))
    assert same(pair.by_llama("base", None), pair.by_torch(None))


@given(heads=st.integers(1, 4), half=st.integers(1, 4), columns=st.integers(1, 3))
def test_interleaving_puts_the_halves_of_each_head_side_by_side(heads: int, half: int, columns: int) -> None:
    matrix = np.arange(heads * 2 * half * columns).reshape(heads * 2 * half, columns)
    mixed = interleaved(matrix, heads).reshape(heads, half, 2, columns)
    for part in (0, 1):
        assert np.array_equal(mixed[:, :, part], matrix.reshape(heads, 2, half, columns)[:, part])


def test_a_damaged_file_is_a_typed_error(pair: Pair, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.gguf"
    damaged.write_bytes(pair.gguf.read_bytes()[:2000])
    with pytest.raises(ModelDamaged):
        LlamaEngine(damaged, pair.folder, "tiny", Codec(pair.folder), 1, tmp_path / "layout.json")


def test_a_copy_is_made_once_and_says_the_same(pair: Pair, tmp_path: Path) -> None:
    assert file_to_read(pair.gguf, tmp_path / "copies", "auto", 1) == pair.gguf
    copy = file_to_read(pair.gguf, tmp_path / "copies", "f16", 1)
    made = copy.stat().st_mtime_ns
    digest = hashlib.sha256(pair.gguf.read_bytes()).hexdigest()
    engine = open_llama(LlamaFiles(pair.gguf, tmp_path / "copies", "f16"), pair.folder, "tiny", pair.torch.codec)
    text = engine.generate(PROMPT, lambda text: False, max_tokens=6)
    engine.close()
    assert copy.stat().st_mtime_ns == made
    assert hashlib.sha256(pair.gguf.read_bytes()).hexdigest() == digest
    assert same((text.text, text.log_probabilities), pair.by_torch(None))


def test_a_copy_that_cannot_be_kept_is_a_typed_error(pair: Pair, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("no folder")
    with pytest.raises(ModelUnusable, match="copy"):
        file_to_read(pair.gguf, blocked, "f16", 1)
    with pytest.raises(ModelUnusable, match="cannot write"):
        file_to_read(tmp_path / "missing.gguf", tmp_path / "copies", "f16", 1)
    assert [file.suffix for file in (tmp_path / "copies").iterdir()] == [".lock"]


def test_llama_writes_where_it_can_unless_it_is_told_otherwise(pair: Pair) -> None:
    assert engine_for("auto", pair.gguf, "cpu") == "llama"
    assert engine_for("auto", None, "cpu") == "transformers"
    assert engine_for("transformers", pair.gguf, "cpu") == "transformers"
    with pytest.raises(ModelUnusable, match="needs a GGUF file"):
        open_llama(None, pair.folder, "tiny", pair.torch.codec)
