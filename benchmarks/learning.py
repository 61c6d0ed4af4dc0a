"""Does studying the repository help, and does it help to choose well?

Hides three lines at seeded places of an installed Python package and measures bits per byte of the truth in six
modes side by side: same places, same candidates, same number of steps.

    .venv/bin/python benchmarks/learning.py --package huggingface_hub --places 40 --seed 0 --out learning.jsonl

Every finished place is a line in --out; run it again to go on where it stopped. Nothing looks at a result before all
places are chosen.
"""

import argparse
import json
import sys
from pathlib import Path

from rich.console import Console

from vicinal_daemon.cli.demo import find_package
from vicinal_daemon.cli.indexes import load_settings
from vicinal_daemon.cli.progress import stages
from vicinal_daemon.cli.workbench import open_workbench
from vicinal_daemon.complete import tunable
from vicinal_daemon.evaluate.measure import Measurement, measure_place
from vicinal_daemon.evaluate.places import sample_places
from vicinal_daemon.evaluate.report import markdown_pairs, markdown_table
from vicinal_daemon.stages import Stopwatch
from vicinal_indexer.errors import VicinalError

PAIRS = (
    ("SIFT-tuned", "in-file"),
    ("SIFT-tuned", "nn-tuned"),
    ("SIFT chunks in the prompt", "nearest chunks in the prompt"),
    ("SIFT-tuned, SIFT chunks in the prompt", "SIFT chunks in the prompt"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--package", default="huggingface_hub", help="an installed package, or a folder")
    parser.add_argument("--places", type=int, default=40)
    parser.add_argument("--lines", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting, e.g. tune.steps=4")
    options = parser.parse_args()
    # A fixed number of steps for both strategies, so that only the choice differs.
    flags = {"seed": options.seed, "select.alpha": 0.0, **dict(pair.split("=", 1) for pair in options.set)}
    settings = load_settings(None, flags)
    done = read_results(options.out)
    with (
        stages() as on_stage,
        open_workbench(find_package(options.package), settings, Stopwatch(), on_stage) as bench,
    ):
        engine = tunable(bench.engine)
        files = {path: text for path, text in bench.index.texts() if path.endswith(".py")}
        places = sample_places(files, options.places, options.seed, lines=options.lines)
        wanted = {(place.path, place.first_line) for place in places}
        seen = {(m.path, m.line) for m in done}
        for number, place in enumerate(places):
            on_stage("places", number, len(places))
            if (place.path, place.first_line) in seen:
                continue
            measured = measure_place(
                engine,
                bench.index,
                files[place.path],
                place,
                settings,
                on_step=lambda step, total, loss: on_stage("tune", step, total),
            )
            with options.out.open("a") as file:
                file.writelines(json.dumps(m.to_json()) + "\n" for m in measured)
            done += measured
    results = [m for m in done if (m.path, m.line) in wanted]
    console = Console(width=160, highlight=False)
    console.print(
        f"{options.package}, {len(places)} places, {options.lines} lines, seed {options.seed}, "
        f"{settings.tune.steps} steps, learning rate {settings.tune.learning_rate}, rank {settings.tune.rank}"
    )
    print(markdown_table(results))
    print()
    print(markdown_pairs(results, PAIRS))


def read_results(path: Path) -> list[Measurement]:
    """What an earlier run finished."""
    if not path.exists():
        return []
    return [Measurement(**json.loads(line)) for line in path.read_text().splitlines()]


if __name__ == "__main__":
    try:
        main()
    except VicinalError as error:
        sys.exit(f"error: {error.message}\nhint: {error.hint}")
