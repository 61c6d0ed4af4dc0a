"""What guessing ahead saves while text is written: the same lines by both engines, with guesses and without.

    python benchmarks/drafting.py REPO... [--places 12] [--lines 1] [--seed 0] [--most 5] [--threads N]

Lines of each repository are hidden and written anew, behind the open file alone, with the memory of the rest of the
repository. The ways take turns at each place. Reading the prompt is not in the time. The adapter changes all layers a
little (random numbers: what they are costs nothing). `same` counts the places where the text is that of the way without
guesses.
"""

import argparse
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import torch
from writing import adapter_for

from vicinal_daemon.cli.indexes import load_settings
from vicinal_daemon.complete import prompt_for
from vicinal_daemon.evaluate.tasks import Corpus, Task, sample_lines
from vicinal_daemon.generate import drafting
from vicinal_daemon.generate.engine import Generated, Recall
from vicinal_daemon.generate.llama.copies import file_to_read
from vicinal_daemon.generate.llama.engine import LlamaEngine
from vicinal_daemon.generate.post import Ending
from vicinal_daemon.generate.prompt import Prompt
from vicinal_daemon.generate.remembered import Remembered
from vicinal_daemon.generate.transformers_engine import TransformersEngine
from vicinal_daemon.models import resolve
from vicinal_daemon.models.layout import llama_folder
from vicinal_daemon.worker.writers import lora_of
from vicinal_indexer.files import read_text, walk

GUESSING = ", guessing"
WAYS = tuple(way + more for way in ("torch", "llama.cpp", "llama.cpp, adapter") for more in ("", GUESSING))


class Quiet:
    """A memory that guesses nothing."""

    def __init__(self, memory: Recall) -> None:
        self.mix = memory.mix

    def guess(self, _context: Any, _most: int) -> list[int]:
        return []


def texts_of(root: Path) -> dict[str, str]:
    """What would be indexed, path -> text."""
    texts = {stat.path: read_text(root, stat.path) for stat in walk(root)[0]}
    return {path: text for path, text in texts.items() if isinstance(text, str)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("repositories", type=Path, nargs="+")
    parser.add_argument("--places", type=int, default=12)
    parser.add_argument("--lines", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--most", type=int, default=drafting.MOST)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    if asked.most > drafting.MOST:
        parser.error(f"the engines make room for {drafting.MOST} guesses")
    drafting.MOST = asked.most
    settings = load_settings(None, {})
    files = resolve(settings.model.name, settings.model.cache_dir)
    if files.gguf is None:
        raise SystemExit(f"{files.name} has no GGUF file")
    engine = TransformersEngine(files.transformers_dir, "cpu", depth=1.0)
    copies = llama_folder(settings.model.cache_dir, files.fingerprint)
    copy = file_to_read(files.gguf, copies, "auto", asked.threads)
    with tempfile.TemporaryDirectory() as folder:
        note = Path(folder) / "layout.json"
        llama = LlamaEngine(copy, files.transformers_dir, files.name, engine.codec, asked.threads, note)
        lora = lora_of(adapter_for(engine, settings.tune.rank, size=0.002))

        def write(way: str, prompt: Prompt, task: Task, memory: Recall, most: int) -> Generated:
            stop, heard = Ending(task.lines, mid_line=False).met, memory if way.endswith(GUESSING) else Quiet(memory)
            if way.startswith("torch"):
                return engine.generate_under("base", prompt, stop, max_tokens=most, memory=heard)
            name, worn = ("worn", lora) if "adapter" in way else ("base", None)
            return llama.generate_under(name, prompt, stop, max_tokens=most, memory=heard, lora=worn)

        print("| repository | way | tokens | of them guessed | ms a token | of torch / llama.cpp | same |")
        print("|---|---|---|---|---|---|---|")
        for root in asked.repositories:
            texts = texts_of(root)
            remembered = Remembered(engine.codec)
            remembered.update(texts)
            places = sample_lines(Corpus(texts), asked.places, asked.seed, lines=asked.lines)
            seconds, tokens, guessed = defaultdict(float), defaultdict(int), defaultdict(int)
            same: dict[str, int] = defaultdict(int)
            for task in places:
                prompt = prompt_for(task.target, [], engine, settings)
                said: dict[str, str] = {}
                for way in WAYS:
                    memory = remembered.at(task.path, task.left, task.right)
                    write(way, prompt, task, memory, 1)  # the prompt is read
                    started = time.perf_counter()
                    made = write(way, prompt, task, memory, settings.generate.max_tokens)
                    seconds[way] += time.perf_counter() - started
                    tokens[way] += made.tokens
                    guessed[way] += made.guessed
                    said[way] = made.text
                    same[way] += made.text == said[way.removesuffix(GUESSING)]
            for way in WAYS:
                bare = way.split(",")[0]
                each = seconds[way] / tokens[way]
                print(
                    f"| {root.name} | {way} | {tokens[way]} | {guessed[way] / tokens[way]:.0%} | {1000 * each:.1f} "
                    f"| {each / (seconds[bare] / tokens[bare]):.2f} | {same[way]} of {len(places)} |",
                    flush=True,
                )
        llama.close()


if __name__ == "__main__":
    main()
