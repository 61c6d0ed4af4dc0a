"""Where tokens lie in a text, from a tokenizer's file alone.

Owns reading `tokenizer.json`, for those who count tokens but run no model. It loads neither torch nor transformers.
"""

from collections.abc import Sequence
from pathlib import Path

from tokenizers import Tokenizer

from vicinal_daemon.errors import ModelDamaged
from vicinal_daemon.generate.prompt import Offsets


def fast_offsets(folder: Path) -> Offsets:
    """[start, end) in characters of each token of a text, by the model in `folder`.

    Raises:
        ModelDamaged: its tokenizer cannot be read.
    """
    try:
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    except Exception as error:  # the library raises nothing narrower
        raise ModelDamaged(f"the tokenizer in {folder} cannot be loaded: {error}") from error
    tokenizer.no_truncation()
    tokenizer.no_padding()

    def offsets(text: str) -> Sequence[tuple[int, int]]:
        spans: Sequence[tuple[int, int]] = tokenizer.encode(text, add_special_tokens=False).offsets
        return spans

    return offsets
