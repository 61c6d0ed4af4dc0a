"""Does the repository's own adapter help, and should tuning for a request start from it?

Trains the warm adapter of a package in this process, then measures bits per byte of hidden lines at seeded places:
base, warm, base + SIFT tuning, warm + SIFT tuning, each without and with SIFT chunks in the prompt.

    .venv/bin/python benchmarks/warm.py --package huggingface_hub --places 40 --seed 0 --out warm.jsonl

The places are chosen first. Every chunk that has a line in common with a place's hidden lines is taken out before the
warm adapter's chunks are chosen: it is neither studied nor held out. (A place's first line stands nowhere else in the
package's Python files, so no copy of it is studied either.) Every finished place is a line in --out, and the adapter
lies next to it: run it again to go on where it stopped.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from learning import read_results

from vicinal_daemon.background.choose import WarmOrder, warm_order
from vicinal_daemon.background.lesson import SAMPLE, codes, tuning_digest
from vicinal_daemon.cli.demo import find_package
from vicinal_daemon.cli.indexes import load_settings
from vicinal_daemon.cli.progress import stages
from vicinal_daemon.cli.workbench import open_workbench
from vicinal_daemon.complete import tunable, tuning_settings
from vicinal_daemon.config import Settings
from vicinal_daemon.evaluate.measure import WARM_MODES, Measurement, measure_place
from vicinal_daemon.evaluate.places import Place, sample_places
from vicinal_daemon.evaluate.report import by_mode, markdown_pairs, markdown_table, paired_difference
from vicinal_daemon.generate.prompt import first_tokens, headed
from vicinal_daemon.generate.transformers_engine import TransformersEngine
from vicinal_daemon.stages import OnStage, Stopwatch
from vicinal_daemon.tune.adapter_file import settings_digest
from vicinal_daemon.tune.files import read_adapter, write_adapter
from vicinal_daemon.tune.guard import Passage
from vicinal_daemon.tune.lora import Adapter
from vicinal_daemon.tune.run import TuningRun
from vicinal_daemon.tune.tuner import judge
from vicinal_daemon.tune.wardrobe import Wardrobe
from vicinal_indexer.errors import VicinalError
from vicinal_indexer.index import RepositoryIndex
from vicinal_indexer.types import Region

SHOWN = "SIFT chunks in the prompt"
PAIRS = (
    ("warm", "in-file"),
    ("base + SIFT", "in-file"),
    ("warm + SIFT", "base + SIFT"),
    ("warm + SIFT", "warm"),
    (f"warm, {SHOWN}", SHOWN),
    (f"base + SIFT, {SHOWN}", SHOWN),
    (f"warm + SIFT, {SHOWN}", f"base + SIFT, {SHOWN}"),
    (f"warm + SIFT, {SHOWN}", f"warm, {SHOWN}"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--package", default="huggingface_hub", help="an installed package, or a folder")
    parser.add_argument("--places", type=int, default=40)
    parser.add_argument("--lines", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=64, help="of the warm adapter")
    parser.add_argument("--out", type=Path, default=Path("warm.jsonl"))
    parser.add_argument("--json", action="store_true", help="print the summary as JSON")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting, e.g. tune.steps=4")
    options = parser.parse_args()
    flags = {"seed": options.seed, "select.alpha": 0.0, "warm.steps": options.steps}
    settings = load_settings(None, {**flags, **dict(pair.split("=", 1) for pair in options.set)})
    done = read_results(options.out)
    with (
        stages() as on_stage,
        open_workbench(find_package(options.package), settings, Stopwatch(), on_stage) as bench,
    ):
        engine = tunable(bench.engine)
        files = {path: text for path, text in bench.index.texts() if path.endswith(".py")}
        places = sample_places(files, options.places, options.seed, lines=options.lines)
        order = study_order(bench.index, places, settings)
        warm = trained(engine, order, settings, options.out, on_stage)
        seen = {(m.path, m.line) for m in done}
        for number, place in enumerate(places):
            on_stage("places", number, len(places))
            if (place.path, place.first_line) in seen:
                continue
            measured = measure_place(engine, bench.index, files[place.path], place, settings, WARM_MODES, warm=warm)
            with options.out.open("a") as file:
                file.writelines(json.dumps(m.to_json()) + "\n" for m in measured)
            done += measured
    wanted = {(place.path, place.first_line) for place in places}
    show(options, [m for m in done if (m.path, m.line) in wanted], order, warm)


def study_order(index: RepositoryIndex, places: Sequence[Place], settings: Settings) -> WarmOrder:
    """What is studied, and what it is judged by: no hidden line is in any of it."""
    hidden = [Region(place.path, place.first_line, place.last_line) for place in places]
    sample = index.sample(SAMPLE, settings.seed)
    open_ones = [found for found in sample if not any(region.overlaps(found.chunk) for region in hidden)]
    return warm_order(open_ones, settings.warm.steps, settings.seed)


def trained(
    engine: TransformersEngine, order: WarmOrder, settings: Settings, out: Path, on_stage: OnStage
) -> Adapter | None:
    """The warm adapter of this order, from the file of an earlier run if there is one; None if its guard drops it."""
    studied = [[candidate.chunk.path, candidate.chunk.content_hash] for candidate in order.picks]
    digest = settings_digest({"model": engine.name, "tuning": tuning_digest(settings), "studied": studied})
    file = out.with_name(f"{out.stem}-{digest}.safetensors")
    if file.exists():
        return read_adapter(file)
    texts, held_out = (
        [headed(code.path, code.language, code.text) for code in codes(part)] for part in (order.picks, order.held_out)
    )
    offsets, most = engine.codec.offsets, settings.tune.max_tokens
    with Wardrobe(engine.model) as wardrobe:
        run = TuningRun(engine, wardrobe, texts, tuning_settings(settings))
        while run.done < run.steps:
            on_stage("tune", run.done, run.steps)
            run.step()
        adapter, losses = judge(engine, wardrobe, run, [Passage(first_tokens(t, most, offsets), 0) for t in held_out])
    told = ", ".join(f"{loss:.3f} at scale {scale:g}" for scale, loss in losses.items())
    print(
        f"warm adapter: {run.steps} steps; nats per token of {len(held_out)} held-out chunks: {told}", file=sys.stderr
    )
    if adapter is not None:
        write_adapter(adapter, file, {})
    return adapter


def show(options: argparse.Namespace, results: list[Measurement], order: WarmOrder, warm: Adapter | None) -> None:
    scale = warm.scale if warm is not None else 0.0
    if options.json:
        bits = {mode: [m.bits for m in found] for mode, found in by_mode(results).items()}
        pairs = {f"{a} - {b}": paired_difference(bits[a], bits[b]) for a, b in PAIRS}
        about = {"package": options.package, "seed": options.seed, "steps": len(order.picks), "scale": scale}
        print(json.dumps(about | {"pairs": pairs, "places": [asdict(m) for m in results]}))
        return
    print(
        f"{options.package}, {len(results) // len(WARM_MODES)} places, {options.lines} lines, seed {options.seed}; "
        f"warm adapter: {len(order.picks)} chunks that explain {order.explained:.0%} of the sample, scale {scale:g}\n"
    )
    print(markdown_table(results))
    print()
    print(markdown_pairs(results, PAIRS))


if __name__ == "__main__":
    try:
        main()
    except VicinalError as error:
        sys.exit(f"error: {error.message}\nhint: {error.hint}")
