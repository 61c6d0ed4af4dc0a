"""A request's work on an accelerator: the same as on the CPU, and how long it takes. Needs no weights and no network.

    python benchmarks/gpu.py [--device cuda] [--sizes 0.5b,1.5b] [--steps 8] [--tokens 256]
                             [--precisions float32,bfloat16]

First a tiny model: losses of eight steps, scores and a written text, on the device against the CPU in float32, in each
precision (bfloat16 differs by some hundredths, and may write something else). Then
models of random weights with the shapes of Qwen2.5 0.5B and 1.5B: what a selection, training steps (texts that are new,
texts that were seen), putting the adapter on, reading a prompt and writing take. `--sizes small` is for trying it.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import torch

from vicinal_daemon.generate.device import Precision
from vicinal_daemon.generate.prompt import Prompt
from vicinal_daemon.generate.transformers_engine import TransformersEngine
from vicinal_daemon.models.tiny import Shape, write_tiny_model
from vicinal_daemon.select import lexical_kernel, select, term_counts
from vicinal_daemon.tune.run import TuningRun, TuningSettings
from vicinal_daemon.tune.wardrobe import Wardrobe

SHAPES = {
    "small": Shape(hidden=64, layers=4, heads=4, kv_heads=2, inner=128, vocabulary=1024),
    "0.5b": Shape(hidden=896, layers=24, heads=14, kv_heads=2, inner=4864, vocabulary=151_936),
    "1.5b": Shape(hidden=1536, layers=28, heads=12, kv_heads=2, inner=8960, vocabulary=151_936),
}
CODE = """def total_of_{0}(items):
    value_{0} = [item.value for item in items if item.name == name_{0}]
    return value_{0}
"""
PROMPT_CHARACTERS = 3000
WRITTEN = 32
REPEATS = 3


def examples(count: int, length: int) -> list[str]:
    """Different texts of at least so many tokens."""
    return ["".join(CODE.format(number * 100 + line) for line in range(length // 20)) for number in range(count)]


def never(_: str) -> bool:
    return False


def agreement(device: str, precision: Precision) -> list[str]:
    """The tiny model on the device against the CPU, which computes in float32."""
    sides: tuple[tuple[str, str, Precision], ...] = (("here", "cpu", "float32"), ("there", device, precision))
    told: dict[str, tuple[list[float], tuple[float, ...], str]] = {}
    text = CODE.format(1) * 4
    with tempfile.TemporaryDirectory() as folder:
        write_tiny_model(Path(folder))
        for side, where, numbers in sides:
            engine = TransformersEngine(Path(folder), where, depth=0.5, precision=numbers)
            with Wardrobe(engine) as wardrobe:
                run = TuningRun(engine, wardrobe, examples(8, 100), TuningSettings(8, 1e-3, 64, guard=False, seed=0))
                losses = [run.step() for _ in range(run.steps)]
                with wardrobe.wearing(run.adapter()):
                    scores = engine.score(text, 0).log_probabilities
                    written = engine.generate(Prompt(text, (0, len(text))), never, max_tokens=12).text
            told[side] = losses, scores, written
    (losses, scores, text_here), (others, theirs, text_there) = told["here"], told["there"]
    by_losses, by_scores = np.abs(np.subtract(losses, others)).max(), np.abs(np.subtract(scores, theirs)).max()
    return [
        f"| {precision}: largest difference of the losses of 8 steps | {by_losses:.1e} |",
        f"| {precision}: largest difference of {len(scores)} log p, tuned | {by_scores:.1e} |",
        f"| {precision}: the written text is the same | {'yes' if text_here == text_there else 'NO'} |",
    ]


class Clock:
    """Seconds of what is done on the device, until it is done."""

    def __init__(self, device: torch.device) -> None:
        self._device = device

    def of(self, work: Callable[[], object]) -> float:
        self._wait()
        started = time.perf_counter()
        work()
        self._wait()
        return time.perf_counter() - started

    def _wait(self) -> None:
        if self._device.type == "cuda":
            torch.cuda.synchronize()
        elif self._device.type == "mps":
            torch.mps.synchronize()


def selection_seconds() -> float:
    """200 candidates, 50 picks: on the CPU, as always."""
    texts = examples(200, 100)
    words = [term_counts(text) for text in texts]
    kernel = lexical_kernel(words, words[:1])
    started = time.perf_counter()
    select("sift", kernel, limit=50, noise=0.1)
    return time.perf_counter() - started


def measured(engine: TransformersEngine, steps: int, tokens: int) -> dict[str, float]:
    """Median seconds of each part."""
    clock, texts = Clock(engine.device), examples(steps, 2 * tokens)
    settings = TuningSettings(16, 1e-3, tokens, guard=False, seed=0)
    prompt_text = "".join(examples(1, 4000))[:PROMPT_CHARACTERS]
    prompt = Prompt(prompt_text, (0, len(prompt_text)), heals=False)
    parts: dict[str, list[float]] = {}

    def note(name: str, seconds: float) -> None:
        parts.setdefault(name, []).append(seconds)

    def write() -> object:
        return engine.generate_under("worn", prompt, never, max_tokens=WRITTEN, lender="base")

    with Wardrobe(engine) as wardrobe:
        for repeat in range(REPEATS + 1):
            # The first round is for warming up: its texts are others, and it is not counted.
            own = [f"# {repeat}\n{text}" for text in texts]
            for name in ("steps, new texts", "steps, texts seen before"):
                run = TuningRun(engine, wardrobe, own, settings)
                seconds = clock.of(lambda run=run: [run.step() for _ in range(run.steps)])
                note(name, seconds)
            engine.prefixes.forget()
            note("read the prompt", clock.of(lambda: engine.generate_under("base", prompt, never, max_tokens=1)))
            adapter = run.adapter()
            with wardrobe.wearing(adapter):
                note(
                    "put it on, read anew",
                    clock.of(lambda: engine.generate_under("first", prompt, never, max_tokens=1, lender="base")),
                )
                note(f"write {WRITTEN} tokens, worn", clock.of(write))
            note(
                f"write {WRITTEN} tokens, bare",
                clock.of(lambda: engine.generate_under("base", prompt, never, max_tokens=WRITTEN)),
            )
    return {name: median(values[1:]) for name, values in parts.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--sizes", default="0.5b,1.5b")
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--tokens", type=int, default=256)
    parser.add_argument("--precisions", default="float32,bfloat16")
    asked = parser.parse_args()
    precisions: list[Precision] = asked.precisions.split(",")
    print(f"torch {torch.__version__}, {asked.device}")
    print("\n| the tiny model, against the CPU | |\n|---|---|")
    for precision in precisions:
        print("\n".join(agreement(asked.device, precision)), flush=True)
    print(f"\n| {asked.steps} steps of {asked.tokens} tokens, prompt of about 1,000 | milliseconds |\n|---|---|")
    print(f"| selection (K = 200, N = 50), CPU | {1000 * selection_seconds():.1f} |", flush=True)
    for size in asked.sizes.split(","):
        with tempfile.TemporaryDirectory() as folder:
            write_tiny_model(Path(folder), shape=SHAPES[size])
            for precision in precisions:
                engine = TransformersEngine(Path(folder), asked.device, precision=precision)
                for name, seconds in measured(engine, asked.steps, asked.tokens).items():
                    print(f"| {size}, {precision}: {name} | {1000 * seconds:.0f} |", flush=True)
                if engine.device.type == "cuda":
                    most = torch.cuda.max_memory_allocated() / 2**20
                    print(f"| {size}, {precision}: most memory, MiB | {most:.0f} |", flush=True)
                    torch.cuda.reset_peak_memory_stats()
                del engine


if __name__ == "__main__":
    main()
