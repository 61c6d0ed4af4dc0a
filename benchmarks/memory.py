"""How much more memory tuning takes than writing: resident bytes of a process that writes, and the most while it tunes.

    python benchmarks/memory.py [--steps 8] [--tokens 256] [--prompt 1024]

Each way has a process of its own, with the environment of the engine's: the model is loaded, a prompt is read and a
line written; then it is tuned on texts of so many tokens, with its guard, and the line is written again with what was
learned.
"""

import argparse
import multiprocessing
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psutil

from vicinal_daemon.cli.indexes import load_settings
from vicinal_daemon.complete import tuning_settings
from vicinal_daemon.generate.prompt import Prompt
from vicinal_daemon.generate.transformers_engine import TransformersEngine
from vicinal_daemon.models import resolve
from vicinal_daemon.tune.guard import Passage
from vicinal_daemon.tune.run import TuningRun
from vicinal_daemon.tune.wardrobe import Wardrobe
from vicinal_daemon.worker.process import ENVIRONMENT

CODE = "\n".join(path.read_text("utf-8") for path in sorted(Path(__file__).parent.glob("*.py")))
WAYS = {"a request: upper third": 0.33, "the repository's own adapter: all layers": 1.0}
MEBIBYTE = 2**20


@contextmanager
def watched(most: list[int]) -> Iterator[None]:
    """Appends the most resident bytes of this process meanwhile."""
    process, done, seen = psutil.Process(), threading.Event(), [0]

    def look() -> None:
        while not done.wait(0.002):
            seen[0] = max(seen[0], process.memory_info().rss)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        most.append(seen[0])


def measure(depth: float, steps: int, tokens: int, prompt_tokens: int) -> tuple[int, int, int]:
    """Bytes: of the model; resident after writing; the most while tuning and writing again."""
    settings = load_settings(None, {})
    files = resolve(settings.model.name, settings.model.cache_dir)
    engine = TransformersEngine(
        files.transformers_dir, "cpu", files.name, settings.tune.depth, settings.model.precision
    )
    recipe = replace(tuning_settings(settings), max_tokens=tokens, depth=depth)
    size = sum(value.nbytes for value in engine.model.parameters())
    spans = engine.codec.offsets(CODE)
    text = CODE[: spans[prompt_tokens][0]]
    prompt = Prompt(text, (0, len(text)))
    examples = [CODE[spans[n * tokens][0] : spans[(n + 1) * tokens][0]] for n in range(1, 1 + steps)]

    def write() -> None:
        engine.generate_under("base", prompt, lambda said: "\n" in said, max_tokens=16)

    most: list[int] = []
    with Wardrobe(engine) as wardrobe:
        with watched(most):
            write()
        before = psutil.Process().memory_info().rss
        with watched(most):
            watch = [Passage(text, 0)]
            run = TuningRun(engine, wardrobe, examples, recipe, watched=watch)
            while run.done < run.steps:
                run.step()
            with wardrobe.wearing(run.adapter()):
                write()
    return size, max(before, most[0]), most[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--tokens", type=int, default=256)
    parser.add_argument("--prompt", type=int, default=1024)
    asked = parser.parse_args()
    print("| what is tuned | model MiB | writing MiB | most while tuning MiB | more, of the model's size |")
    print("|---|---|---|---|---|")
    os.environ |= ENVIRONMENT
    context = multiprocessing.get_context("spawn")
    for way, depth in WAYS.items():
        with context.Pool(1) as pool:
            size, before, most = pool.apply(measure, (depth, asked.steps, asked.tokens, asked.prompt))
        row = (f"{value / MEBIBYTE:,.0f}" for value in (size, before, most))
        print(f"| {way} | {' | '.join(row)} | {(most - before) / size:.2f} |", flush=True)


if __name__ == "__main__":
    main()
