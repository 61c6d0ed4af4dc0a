"""Does the engine grow with each text of another length?

    python benchmarks/growth.py [--texts 100]

Each way has a process of its own, with the environment of the engine's. Texts of random length are studied, and a line
is written behind each; MiB that the process holds after each quarter, and the CPU seconds of all. `plain` is bfloat16
without what `generate/bfloat16.py` changes in a model.
"""

import argparse
import multiprocessing
import os
import random
import time
from pathlib import Path

import psutil
import torch

from vicinal_daemon.cli.indexes import load_settings
from vicinal_daemon.complete import tuning_settings
from vicinal_daemon.generate import transformers_engine
from vicinal_daemon.generate.device import Precision
from vicinal_daemon.generate.prompt import Prompt
from vicinal_daemon.models import resolve
from vicinal_daemon.tune.run import TuningRun
from vicinal_daemon.tune.wardrobe import Wardrobe
from vicinal_daemon.worker.process import ENVIRONMENT

CODE = "\n".join(path.read_text("utf-8") for path in sorted(Path(__file__).parent.glob("*.py")))
WAYS: dict[str, tuple[Precision, bool]] = {
    "float32": ("float32", True),
    "bfloat16, plain": ("bfloat16", False),
    "bfloat16": ("bfloat16", True),
}
QUARTERS = 4


def measure(way: str, texts: int, seed: int) -> tuple[list[int], float]:
    """Resident bytes before the first text and after each quarter of them; CPU seconds."""
    precision, fitted = WAYS[way]
    settings = load_settings(None, {})
    files = resolve(settings.model.name, settings.model.cache_dir)
    if not fitted:
        transformers_engine.fit_for_cpu = lambda model: None
    engine = transformers_engine.TransformersEngine(
        files.transformers_dir, "cpu", files.name, settings.tune.depth, precision
    )
    torch.set_num_threads(1)
    recipe = tuning_settings(settings)
    chance, spans, me = random.Random(seed), engine.codec.offsets(CODE), psutil.Process()  # noqa: S311
    held, begun = [me.memory_info().rss], time.process_time()

    def study(wardrobe: Wardrobe) -> None:
        start, length = chance.randrange(len(spans) - 300), chance.randrange(33, 257)
        text = CODE[spans[start][0] : spans[start + length][0]]
        run = TuningRun(engine, wardrobe, [text], recipe)
        while run.done < run.steps:
            run.step()
        with wardrobe.wearing(run.adapter()):
            engine.generate(Prompt(text, (0, len(text))), lambda _: False, max_tokens=4)

    with Wardrobe(engine) as wardrobe:
        for _ in range(QUARTERS):
            for _ in range(texts // QUARTERS):
                study(wardrobe)
            held.append(me.memory_info().rss)
    return held, time.process_time() - begun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    print("| way | " + " | ".join(f"{asked.texts * n // QUARTERS} texts" for n in range(QUARTERS + 1)) + " | CPU s |")
    print("|---" * (QUARTERS + 3) + "|")
    os.environ |= ENVIRONMENT
    context = multiprocessing.get_context("spawn")
    for way in WAYS:
        with context.Pool(1) as pool:
            held, seconds = pool.apply(measure, (way, asked.texts, asked.seed))
        print(f"| {way} | {' | '.join(f'{value / 2**20:,.0f}' for value in held)} | {seconds:.0f} |", flush=True)


if __name__ == "__main__":
    main()
