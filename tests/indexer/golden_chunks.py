"""The golden chunks: one source a language in `goldens/`, beside it what it must be cut into; what any text must be.

After a change that is meant, look at what this prints, and only then commit what it wrote:

    python tests/indexer/golden_chunks.py [LANGUAGE...]

No test ever writes these files.
"""

import difflib
import sys
from pathlib import Path

from vicinal_indexer.chunks import chunk

FOLDER = Path(__file__).parent / "goldens"


def sources() -> dict[str, Path]:
    """The golden sources by language."""
    return {path.stem: path for path in sorted(FOLDER.iterdir()) if path.suffix != ".chunks"}


def expected(source: Path) -> Path:
    """Where the chunks of a golden source are written down."""
    return source.with_suffix(source.suffix + ".chunks")


def table(language: str, text: str) -> str:
    """A line for each chunk: first and last line, symbol, headers, and how its text begins."""
    rows = []
    for c in chunk("p", text, language):
        header = " > ".join(c.header.split("\n"))
        begins = c.text.strip().split("\n")[0][:60]
        rows.append(f"{c.start_line:>3}-{c.end_line:<3} [{c.symbol}] <{header}> {begins}\n")
    return "".join(rows)


def check(text: str, language: str) -> None:
    """Every line that is not blank is in exactly one chunk, and chunks say truly what they hold."""
    lines = text.split("\n")
    counts = [0] * len(lines)
    source = text.encode()
    for c in chunk("p", text, language):
        assert source[c.start_byte : c.end_byte].decode() == c.text
        assert c.text == "\n".join(lines[c.start_line - 1 : c.end_line])
        assert len(c.header) <= 200
        for line in range(c.start_line - 1, c.end_line):
            counts[line] += 1
    assert all(count == 1 for count, line in zip(counts, lines, strict=True) if line.strip())
    assert max(counts) <= 1


def main() -> None:
    """Write the goldens of the languages given, or of all, and print what changed."""
    for language, source in sources().items():
        if len(sys.argv) > 1 and language not in sys.argv[1:]:
            continue
        path = expected(source)
        before = path.read_text("utf-8") if path.exists() else ""
        after = table(language, source.read_text("utf-8"))
        lines = difflib.unified_diff(before.splitlines(True), after.splitlines(True), language, language)
        sys.stdout.writelines(lines)
        path.write_text(after, "utf-8")


if __name__ == "__main__":
    main()
