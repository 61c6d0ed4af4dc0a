"""What reading a prompt and writing behind it cost: torch, llama.cpp on the file and on its fast copy, with adapters.

    python benchmarks/writing.py [--tokens 768] [--written 24] [--repeats 5] [--threads N]

The default model and an adapter of the upper third of its layers (random numbers: what they are costs nothing). The
ways take turns, and the tables are of medians. The last one is a keystroke: the prompt is known but for its last word,
and eight tokens are written, by the engine process's bench (healing, stop rule, probabilities and all) and by a bare
loop over llama.cpp on the same file without an adapter.
"""

import argparse
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import torch

from vicinal_daemon import config
from vicinal_daemon.generate.llama.copies import file_to_read
from vicinal_daemon.generate.llama.library import Context, Model
from vicinal_daemon.generate.transformers_engine import TransformersEngine
from vicinal_daemon.models import resolve
from vicinal_daemon.models.layout import llama_folder
from vicinal_daemon.target import Target
from vicinal_daemon.tune.files import write_adapter
from vicinal_daemon.tune.lora import Adapter, AttachedLora
from vicinal_daemon.tune.wardrobe import Wardrobe
from vicinal_daemon.worker.bench import Bench
from vicinal_daemon.worker.messages import Load, PromptShape, Wear, Write
from vicinal_daemon.worker.writers import lora_of

CODE = Path(__file__).read_text(encoding="utf-8")
AT_ONCE = 256
KEYSTROKE_TOKENS = 8


class Torch:
    """The transformers engine's model, bare or with an adapter."""

    def __init__(self, engine: TransformersEngine, adapter: Adapter | None) -> None:
        self._engine, self._adapter, self._wardrobe = engine, adapter, Wardrobe(engine)

    @torch.inference_mode()
    def times(self, ids: list[int], written: int) -> tuple[float, float]:
        """Seconds for the prompt, and for each of the tokens behind it."""
        with self._wardrobe.wearing(self._adapter):
            cache, token, marks = None, ids, [time.perf_counter()]
            for _ in range(written + 1):
                output = self._engine.model(
                    torch.tensor([token]), past_key_values=cache, use_cache=True, logits_to_keep=1
                )
                cache, token = output.past_key_values, [int(output.logits[0, -1].argmax())]
                marks.append(time.perf_counter())
        return marks[1] - marks[0], median(np.diff(marks)[1:])


class Llama:
    """llama.cpp on a file, bare or with an adapter."""

    def __init__(self, file: Path, threads: int, adapter: Path | None = None) -> None:
        self._model = Model(file)
        self.context = Context(self._model, streams=1, tokens=4096, batch=AT_ONCE, threads=threads)
        if adapter is not None:
            self.context.wear([(self._model.adapter(adapter), 1.0)])

    def times(self, ids: list[int], written: int) -> tuple[float, float]:
        """As `Torch.times`."""
        self.context.cut(0, 0)
        started = time.perf_counter()
        for start in range(0, len(ids), AT_ONCE):
            logits = self.context.read(0, start, ids[start : start + AT_ONCE])
        marks = [time.perf_counter()]
        for place in range(written):
            logits = self.context.read(0, len(ids) + place, [int(logits.argmax())])
            marks.append(time.perf_counter())
        return marks[0] - started, median(np.diff(marks))

    def keystroke(self, ids: list[int], new: int) -> float:
        """Seconds to read the last `new` tokens and to write eight."""
        self.context.cut(0, len(ids) - new)
        started = time.perf_counter()
        logits = self.context.read(0, len(ids) - new, ids[-new:])
        for place in range(KEYSTROKE_TOKENS - 1):
            logits = self.context.read(0, len(ids) + place, [int(logits.argmax())])
        return time.perf_counter() - started


def adapter_for(engine: TransformersEngine, rank: int, size: float = 0.01) -> Adapter:
    """Random numbers of about this size, of the right shapes for the layers that learn."""
    lora = AttachedLora(engine.model, rank)
    lora.fill("serve", lora.fresh(0, engine.first))
    generator = torch.Generator().manual_seed(0)
    shapes = {name: value.shape for name, value in lora.tensors("serve").items()}
    lora.detach()
    return Adapter({n: (torch.randn(s, generator=generator) * size).half() for n, s in shapes.items()}, rank)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=int, default=768)
    parser.add_argument("--written", type=int, default=24)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    settings = config.load(None, {}, {}, None)
    files = resolve(settings.model.name, settings.model.cache_dir)
    if files.gguf is None:
        raise SystemExit(f"{files.name} has no GGUF file")
    copies = llama_folder(settings.model.cache_dir, files.fingerprint)
    copy = file_to_read(files.gguf, copies, "auto", asked.threads)
    bench = Bench()
    with tempfile.TemporaryDirectory() as folder:
        engine = TransformersEngine(files.transformers_dir, "cpu", depth=settings.tune.depth)
        adapter, kept, gguf = adapter_for(engine, settings.tune.rank), Path(folder) / "a", Path(folder) / "a.gguf"
        write_adapter(adapter, kept, {})
        export(adapter, files.gguf, files.transformers_dir, gguf)
        bench.do(Load(files.transformers_dir, files.gguf, files.name, "llama", "cpu", settings.tune.depth, copies))
        raw = Llama(copy, asked.threads)
        ways: dict[str, Torch | Llama] = {
            "torch": Torch(engine, None),
            "torch, adapter": Torch(engine, adapter),
            f"llama.cpp, {files.gguf.name}": Llama(files.gguf, asked.threads),
            f"llama.cpp, {copy.name}": raw,
            f"llama.cpp, {copy.name}, adapter": Llama(copy, asked.threads, gguf),
        }
        ids = (engine.codec.encode(CODE)[0] * 9)[: asked.tokens]
        read: dict[str, list[float]] = defaultdict(list)
        wrote: dict[str, list[float]] = defaultdict(list)
        for _ in range(asked.repeats):
            for name, way in ways.items():
                prompt, token = way.times(ids, asked.written)
                read[name].append(prompt)
                wrote[name].append(token)
        print(f"{asked.tokens} tokens read, {asked.written} written, {asked.threads} threads\n")
        print("| way | tokens/s read | of torch's | tokens/s written | of torch's |")
        print("|---|---|---|---|---|")
        for name in ways:
            fast, quick = median(read[name]), median(wrote[name])
            print(
                f"| {name} | {asked.tokens / fast:.0f} | {median(read['torch']) / fast:.2f} "
                f"| {1 / quick:.0f} | {median(wrote['torch']) / quick:.2f} |"
            )
        show_keystroke(bench, raw, engine, kept, asked.repeats)


def export(adapter: Adapter, file: Path, folder: Path, target: Path) -> None:
    """The adapter as llama.cpp reads it."""
    from vicinal_daemon.generate.llama.layout import see_layout
    from vicinal_daemon.generate.llama.lora import write_lora

    lora = lora_of(adapter)
    write_lora(lora, see_layout(file, folder, lora.one_layer()), target)


def show_keystroke(bench: Bench, raw: Llama, engine: TransformersEngine, adapter: Path, repeats: int) -> None:
    """A word is typed at a time; the prompt before it is known."""
    lines = CODE.splitlines(keepends=True)[:60]
    left, words = "".join(lines), ["    total", " =", " median", "(values", ", start", " + 1", ")\n", "    return"]
    worn, ours, theirs = Wear("a", adapter), [], []

    def write(text: str) -> Callable[[], object]:
        shape = PromptShape(Target("writing.py", text, "", "", len(lines), 0, 0), (), 900, 0)
        return lambda: bench.do(Write(shape, worn, 0, KEYSTROKE_TOKENS))

    write(left)()
    known = engine.codec.encode(left)[0]
    raw.times(known, 1)
    for word in words * repeats:
        left += word
        ids = engine.codec.encode(left)[0]
        new = len(ids) - len(known) + 1
        work = write(left)
        started = time.perf_counter()
        work()
        ours.append(time.perf_counter() - started)
        theirs.append(raw.keystroke(ids, new))
        known = ids
    print(f"\nA keystroke, {KEYSTROKE_TOKENS} tokens written, median of {len(ours)}:\n")
    print("| way | ms | of a bare loop's |")
    print("|---|---|---|")
    for name, seconds in (("bare loop over llama.cpp, no adapter", theirs), ("the bench, adapter worn", ours)):
        print(f"| {name} | {median(seconds) * 1000:.0f} | {median(seconds) / median(theirs):.2f} |")


if __name__ == "__main__":
    main()
