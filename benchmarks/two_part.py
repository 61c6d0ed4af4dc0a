"""Does a question with two parts get evidence for both? `python benchmarks/two_part.py [--set test]`.

Every question of `questions/two_part.json` is asked of its installed package. A part is covered if one of the first
four results shares at least three lines (or all, if it has fewer) with a place that was labelled, by reading, as an
answer to that part. SIFT and nearest neighbours choose from the same candidates, by the same kernel.
"""

import argparse
import importlib.util
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from vicinal_daemon import config
from vicinal_daemon.query import query
from vicinal_indexer.index import RepositoryIndex
from vicinal_indexer.types import Filter

QUESTIONS = Path(__file__).parent / "questions" / "two_part.json"
LINES = 3
FIRST = 4


def covers(finding: tuple[str, int, int], evidence: dict[str, Any]) -> bool:
    """Whether (path, first line, last line) shows enough of a labelled place."""
    path, first, last = finding
    lines = evidence["lines"]
    shared = min(last, lines[1]) - max(first, lines[0]) + 1
    return path == evidence["path"] and shared >= min(LINES, lines[1] - lines[0] + 1)


def parts_covered(found: Sequence[tuple[str, int, int]], question: dict[str, Any]) -> list[bool]:
    return [any(covers(f, e) for f in found for e in part["evidence"]) for part in question["parts"]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--set", default="test", choices=["dev", "test", "both"])
    parser.add_argument("--first", type=int, default=FIRST, help="how many results are looked at")
    parser.add_argument("--list", action="store_true", help="print what each question got")
    parser.add_argument("--json", action="store_true", help="print the numbers as JSON")
    chosen = parser.parse_args()
    questions = [q for q in json.loads(QUESTIONS.read_text()) if chosen.set in ("both", q["set"])]
    settings = config.load(None, {}, {}, None)
    strategies: tuple[Literal["sift", "nn"], ...] = ("sift", "nn")
    both = dict.fromkeys(strategies, 0)
    parts = dict.fromkeys(strategies, 0)
    better = worse = 0
    with tempfile.TemporaryDirectory() as data:
        for name in sorted({q["package"] for q in questions}):
            spec = importlib.util.find_spec(name)
            if spec is None or not spec.submodule_search_locations:
                raise SystemExit(f"{name} is not installed: pip install -c constraints.txt {name}")
            with RepositoryIndex.open(Path(spec.submodule_search_locations[0]), Path(data)) as index:
                index.sync()
                for q in (q for q in questions if q["package"] == name):
                    hits = {}
                    for strategy in strategies:
                        got = query(
                            q["question"], index, settings, count=chosen.first, strategy=strategy, wanted=Filter()
                        )
                        found = [(f.path, f.start_line, f.end_line) for f in got.findings]
                        hits[strategy] = parts_covered(found, q)
                        both[strategy] += all(hits[strategy])
                        parts[strategy] += sum(hits[strategy])
                    better += all(hits["sift"]) and not all(hits["nn"])
                    worse += all(hits["nn"]) and not all(hits["sift"])
                    if chosen.list:
                        print(f"{name:16} sift {hits['sift']} nn {hits['nn']}  {q['question']}")
    total = len(questions)
    if chosen.json:
        print(json.dumps({"questions": total, "both": both, "parts": parts, "better": better, "worse": worse}))
        return
    print(
        f"\n| first {chosen.first} of {total} two-part questions ({chosen.set}) | both parts covered | parts covered |"
    )
    print("|---|---|---|")
    for strategy in strategies:
        print(f"| {strategy} | {both[strategy] / total:.3f} | {parts[strategy] / (2 * total):.3f} |")
    print(f"\nSIFT covers both and nearest neighbours do not: {better}; the other way round: {worse}")


if __name__ == "__main__":
    main()
