"""What a training step costs and teaches: the upper layers above a trunk, against peft's plain loop over all layers.

    python benchmarks/tuning.py REPO [--places 4] [--steps 8] [--seed 0] [--depth 0.33] [--bfloat16]

At seeded places of a repository the same picks are studied in turn by the plain loop over all layers (depth 1), by the
plain loop over the upper layers alone, and above the trunk: first with texts that it has not read, then with the same
ones again. The table is of medians over all steps, as ratios to the plain loop, and of bits per byte of three hidden
lines after all steps, as ratios to the base. All in float32; with `--bfloat16` above a trunk in that, too.
"""

import argparse
import time
from collections import defaultdict
from pathlib import Path
from statistics import fmean, median

from vicinal_daemon.cli.indexes import load_settings
from vicinal_daemon.cli.progress import stages
from vicinal_daemon.cli.workbench import open_workbench
from vicinal_daemon.complete import prompt_for, tunable, tuning_settings
from vicinal_daemon.config import Settings
from vicinal_daemon.evaluate.tasks import Corpus, Task, sample_lines
from vicinal_daemon.generate.post import bits_per_byte
from vicinal_daemon.generate.prompt import headed
from vicinal_daemon.generate.transformers_engine import TransformersEngine
from vicinal_daemon.generate.trunk import Trunk, first_to_learn
from vicinal_daemon.models.resolve import resolve
from vicinal_daemon.neighbourhood import chosen, find_candidates
from vicinal_daemon.stages import Stopwatch
from vicinal_daemon.tune.run import TuningRun
from vicinal_daemon.tune.wardrobe import Wardrobe

PLAIN, UPPER, TRUNK, AGAIN = (
    "plain loop, all layers",
    "plain loop, upper layers",
    "above a trunk",
    "… texts seen before",
)
HALF = " (bfloat16)"


def bits(
    engine: TransformersEngine, wardrobe: Wardrobe, run: TuningRun | None, task: Task, settings: Settings
) -> float:
    """Per byte of the hidden lines, under what a run has learned; None: the base."""
    prompt = prompt_for(task.target, [], engine, settings)
    with wardrobe.wearing(run.adapter() if run is not None else None):
        scores = engine.score(prompt.text + task.truth, len(prompt.text.removesuffix("\n")))
    return bits_per_byte(list(scores.log_probabilities), "\n" + task.truth)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("repository", type=Path)
    parser.add_argument("--places", type=int, default=4)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--depth", type=float, default=0.33)
    parser.add_argument("--bfloat16", action="store_true")
    asked = parser.parse_args()
    settings = load_settings(
        None,
        {"seed": asked.seed, "select.alpha": 0.0, "tune.steps": asked.steps, "tune.depth": 1.0}
        | {"model.engine": "transformers", "model.precision": "float32"},
    )
    seconds: dict[str, list[float]] = defaultdict(list)
    learned: dict[str, list[float]] = defaultdict(list)
    with stages() as on_stage, open_workbench(asked.repository, settings, Stopwatch(), on_stage) as bench:
        whole = tunable(bench.engine)
        half = None
        if asked.bfloat16:
            folder = resolve(settings.model.name, settings.model.cache_dir).transformers_dir
            half = TransformersEngine(folder, settings.model.device, depth=1.0, precision="bfloat16")
        tasks = sample_lines(Corpus(dict(bench.index.texts())), asked.places, asked.seed, lines=3)
        first = first_to_learn(whole.model, asked.depth)
        for number, task in enumerate(tasks):
            chunks = find_candidates(bench.index, whole.codec.offsets, task.target, settings)
            picks = chosen(bench.index, chunks, whole.codec.offsets, task.target, settings, "sift").picked()
            examples = [headed(pick.path, pick.language, pick.text) for pick in picks[: asked.steps]]
            whole.first, whole.trunk = 0, None
            with Wardrobe(whole) as wardrobe:
                base = bits(whole, wardrobe, None, task, settings)
            fresh = Trunk(whole.model, first)
            ways = [(PLAIN, whole, 0, None), (UPPER, whole, first, None)]
            ways += [(TRUNK, whole, first, fresh), (AGAIN, whole, first, fresh)]
            if half is not None:
                lower = Trunk(half.model, first)
                ways += [(TRUNK + HALF, half, first, lower), (AGAIN + HALF, half, first, lower)]
            for way, engine, start, trunk in ways:
                on_stage("tune", number, len(tasks))
                engine.first, engine.trunk = start, trunk
                with Wardrobe(engine) as wardrobe:
                    run = TuningRun(engine, wardrobe, examples, tuning_settings(settings))
                    for _ in range(run.steps):
                        started = time.perf_counter()
                        run.step()
                        seconds[way].append(time.perf_counter() - started)
                    learned[way].append(bits(engine, wardrobe, run, task, settings) / base)
    slowest = median(seconds[PLAIN])
    print("| way | a step, of the plain loop's | times faster | bits/byte after all steps, of the base |")
    print("|---|---|---|---|")
    for way in seconds:
        cost = median(seconds[way])
        print(f"| {way} | {cost / slowest:.2f} | {slowest / cost:.1f} | {fmean(learned[way]):.3f} |")


if __name__ == "__main__":
    main()
