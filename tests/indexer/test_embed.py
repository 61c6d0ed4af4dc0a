"""Embedders: what every one of them must do, what the default one knows, and sentence encoders."""

import importlib.util
import json
import subprocess
import sys
from collections.abc import Sequence
from hashlib import blake2b
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vicinal_indexer.embed import Embedder, StaticEmbedder
from vicinal_indexer.embed import static as static_module
from vicinal_indexer.errors import EncoderMissing, EncoderUnusable
from vicinal_indexer.terms import subwords

STATIC = StaticEmbedder()
TEXTS = st.text(alphabet="abcdeXYZ_ 1.(é漢", max_size=60) | st.text(max_size=60)


@given(texts=st.lists(TEXTS, max_size=12), seed=st.randoms(use_true_random=False))
def test_rows_are_unit_and_depend_on_their_text_alone(texts: list[str], seed: object) -> None:
    rows = STATIC.embed(texts)
    assert rows.shape == (len(texts), STATIC.dimensions)
    assert rows.dtype == np.float32
    assert np.allclose(np.linalg.norm(rows, axis=1), [bool(subwords(text)) for text in texts], atol=1e-5)
    order = list(range(len(texts)))
    seed.shuffle(order)  # type: ignore[attr-defined]
    assert (STATIC.embed([texts[place] for place in order]) == rows[order]).all()
    alone = [STATIC.embed([text]) for text in texts]
    assert not texts or (np.concatenate(alone) == rows).all()


def test_many_texts_are_the_same_as_few() -> None:
    texts = [f"def read_{'x' * (n % 7)}(lines): return {'yz' * (n % 5)}" for n in range(700)]
    assert (STATIC.embed(texts)[600:] == STATIC.embed(texts[600:])).all()
    assert (STATIC.embed_words([subwords(text) for text in texts]) == STATIC.embed(texts)).all()


@given(word=st.text(alphabet="qxzjkvw", min_size=9, max_size=20))
def test_a_word_that_nobody_knows_finds_itself(word: str) -> None:
    query, same, other = STATIC.embed(
        [word, f"def {word}(self): return self.value", "def open(self): return self.value"]
    )
    assert query @ same > query @ other + 0.2


def test_the_table_is_the_one_that_the_name_says() -> None:
    file = files("vicinal_indexer.embed").joinpath(static_module.TABLE)
    assert blake2b(file.read_bytes()).hexdigest()[:12] == static_module.TABLE_DIGEST
    assert static_module.TABLE_DIGEST in STATIC.name
    with file.open("rb") as opened, np.load(opened, allow_pickle=False) as stored:
        words = stored["words"].tobytes().decode().split("\n")
        assert stored["vectors"].dtype == np.int8
        assert stored["vectors"].shape == (len(words), STATIC.dimensions)
        assert len(set(words)) == len(words) == len(stored["scales"])


PAIRS = [
    ("remove a file or a whole directory tree", "def rmtree(path): shutil.unlink(path) or os.rmdir(path)"),
    ("wait until another thread releases the lock", "def acquire(self): self._mutex.block(); self.waiters += 1"),
    ("compute the mean and the standard deviation", "def stats(xs): return np.average(xs), np.sqrt(np.var(xs))"),
    ("send a request to the server and parse the reply", "async fetch(url) { return (await http.get(url)).json() }"),
    ("turn an object into a string", "def serialize(o): return json.dumps(o)"),
    ("open a connection to the database", "def connect(dsn): return psycopg.Cursor(sql, dsn)"),
    ("draw a line on the screen", "function render(ctx, x, y) { ctx.moveTo(x, y); canvas.stroke(); }"),
]
"""(a sentence, code that does it in other words)."""


def test_meaning_without_a_shared_word() -> None:
    queries, codes = zip(*PAIRS, strict=True)
    hits = (STATIC.embed(queries) @ STATIC.embed(codes).T).argmax(axis=1) == np.arange(len(PAIRS))
    assert hits.sum() >= len(PAIRS) - 1


def test_nothing_heavy_is_imported_to_embed() -> None:
    program = (
        "import sys; from vicinal_indexer.embed import StaticEmbedder; StaticEmbedder().embed(['read lines']);"
        "print([name for name in ('sklearn', 'scipy', 'torch', 'sentence_transformers') if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"


needs_encoders = pytest.mark.skipif(
    importlib.util.find_spec("sentence_transformers") is None,
    reason="sentence-transformers is not installed: pip install 'vicinal[encoders]'",
)


@pytest.fixture(scope="module")
def encoder_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT with two tiny layers and random weights, in the format of sentence-transformers."""
    return write_encoder(tmp_path_factory.mktemp("encoder"), seed=0)


def write_encoder(folder: Path, seed: int) -> Path:
    import torch
    from transformers import BertConfig, BertModel, BertTokenizerFast

    words = "[PAD] [UNK] [CLS] [SEP] [MASK] def read lines open file write ( ) : a b c".split()
    (folder / "vocab.txt").write_text("\n".join(words))
    BertTokenizerFast(vocab=str(folder / "vocab.txt")).save_pretrained(folder)
    torch.manual_seed(seed)
    shape = BertConfig(
        vocab_size=len(words),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=64,
    )
    BertModel(shape).save_pretrained(folder)
    parts = [("", "Transformer"), ("1_Pooling", "Pooling")]
    modules = [
        {"idx": number, "name": str(number), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for number, (path, kind) in enumerate(parts)
    ]
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "1_Pooling").mkdir()
    pooling = {"word_embedding_dimension": 16, "pooling_mode_mean_tokens": True}
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    return folder


@needs_encoders
def test_a_sentence_encoder(encoder_folder: Path, tmp_path: Path) -> None:
    from vicinal_indexer.embed.encoder import SentenceEmbedder

    first: Embedder = SentenceEmbedder(encoder_folder)
    texts: Sequence[str] = ["def read(lines):", "", "open file", "()"]
    rows = first.embed(texts)
    assert (first.dimensions, first.in_workers, rows.dtype) == (16, False, np.float32)
    assert np.allclose(np.linalg.norm(rows, axis=1), [1, 0, 1, 0], atol=1e-5)
    assert np.allclose(rows[2], first.embed(texts[2:3])[0], atol=1e-5)
    assert first.embed([]).shape == (0, 16)
    assert SentenceEmbedder(encoder_folder).name == first.name
    assert SentenceEmbedder(write_encoder(tmp_path, seed=1)).name != first.name


@needs_encoders
def test_an_encoder_that_is_not_here_is_not_fetched(tmp_path: Path) -> None:
    from vicinal_indexer.embed.encoder import SentenceEmbedder

    for model in (tmp_path / "nowhere", "nobody/nothing"):
        with pytest.raises(EncoderUnusable, match=r"nowhere|nobody/nothing") as caught:
            SentenceEmbedder(model)
        assert caught.value.hint


@pytest.mark.skipif(
    importlib.util.find_spec("sentence_transformers") is not None, reason="sentence-transformers is installed"
)
def test_without_the_package_the_error_says_what_to_install(tmp_path: Path) -> None:
    from vicinal_indexer.embed.encoder import SentenceEmbedder

    with pytest.raises(EncoderMissing) as caught:
        SentenceEmbedder(tmp_path)
    assert "vicinal[encoders]" in caught.value.hint
