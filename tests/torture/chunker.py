"""Random texts for the chunker, in a process of its own, as native parsers may crash:

    python tests/torture/chunker.py LANGUAGE SEED COUNT FILE

FILE holds the text that is being cut: after a crash, the guilty one. Prints the slowest cut in seconds.
"""

import importlib.util
import random
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

FRAGMENTS = (
    *("class A:", "  def f(x):", "    return 1", "@deco", "import a", "{", "}", "# c", "", "(", "é\r", "end", "<a>"),
    *("---", "\t", '"', "'", "'''", "<<EOF", "`", "/*", "*/", "$", "${", "#{", "%", "\\", "|", "[[", "]]", "<!--"),
    *("-->", "=begin", "begin", "::", "->", "\0", "\ufeff", "<?php", "?>", "//", "--", "{-", "-}", "[", "]", 'R"('),
    *("q{", "%q(", "'{", "}}", "{{", "{%", "%}", "  - a: 1", "\t\tx", "\r\n", "\x0c", "\U0001f600", "~~~", "```"),
    *("* a", "1. b", "> c", "|a|b|", "=====", "#!/bin/sh", "EOF", "fi", "esac", "\\\n", "\u2028", "\ud7ff"),
)
MOST = 1500
"""Characters of a text."""


def goldens() -> ModuleType:
    """The golden sources, and what holds for any text."""
    file = Path(__file__).parents[1] / "indexer" / "golden_chunks.py"
    spec = importlib.util.spec_from_file_location("golden_chunks", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def texts(sources: list[str], chance: random.Random) -> Iterator[str]:
    """Endless: heaps of fragments, noise, sources that were damaged, words of all sources."""
    words = " ".join(sources).split()
    kinds: tuple[Callable[[], str], ...] = (
        lambda: "".join(f"{chance.choice(FRAGMENTS)}{chance.choice((chr(10), ' ', ''))}" for _ in range(fewer(60))),
        lambda: "".join(chr(chance.choice((fewer(128), fewer(0x3000), 10))) for _ in range(fewer(200))),
        lambda: " ".join(chance.choice(words) + chance.choice(("", "\n")) for _ in range(fewer(200))),
        lambda: damaged(chance.choice(sources)),
        lambda: damaged(chance.choice(sources)),
        lambda: chance.choice(FRAGMENTS) * fewer(400),
    )

    def fewer(count: int) -> int:
        return chance.randrange(count)

    def damaged(source: str) -> str:
        start = fewer(len(source))
        text = source[start : start + fewer(MOST)]
        for _ in range(fewer(5)):
            place = fewer(len(text) + 1)
            text = text[:place] + chance.choice(FRAGMENTS) + text[place + fewer(6) :]
        return text

    while True:
        yield chance.choice(kinds)()


def main() -> None:
    """Cut so many texts; any crash or broken promise ends it with an error."""
    language, seed, count, file = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4])
    module = goldens()
    sources = [path.read_text("utf-8") for path in module.sources().values()]
    slowest = 0.0
    with file.open("wb", buffering=0) as guilty:
        for _, text in zip(range(count), texts(sources, random.Random(seed)), strict=False):  # noqa: S311 - no secret
            guilty.seek(0)
            guilty.truncate()
            guilty.write(text.encode())
            started = time.perf_counter()
            module.check(text, language)
            slowest = max(slowest, time.perf_counter() - started)
    sys.stdout.write(f"{slowest:.3f}\n")


if __name__ == "__main__":
    main()
