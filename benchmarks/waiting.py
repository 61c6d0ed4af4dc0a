"""What a model costs beside other work, if its threads spin or sleep while they wait: `python benchmarks/waiting.py`.

Examples:

    python benchmarks/waiting.py
    python benchmarks/waiting.py --busy 2 --rounds 3 --json waiting.json

The default model reads 256 tokens and then single ones, in a process of its own for each way, by turns; beside it run
so many processes that only count. Seconds are of this machine; the ratio of the ways is what matters.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

WAYS = {"spin (the library's own choice)": None, "sleep (vicinal)": "PASSIVE"}

WORK = """
import json, time, torch
from vicinal_daemon.config import load
from vicinal_daemon.generate.transformers_engine import TransformersEngine
from vicinal_daemon.models.resolve import resolve
settings = load(None, {}, {}, None)
engine = TransformersEngine(resolve(settings.model.name, settings.model.cache_dir).transformers_dir, "cpu")
text, token = torch.full((1, 256), 20), torch.full((1, 1), 20)
def seconds(tokens, times):
    engine.model(tokens, use_cache=False, logits_to_keep=1)
    started = time.perf_counter()
    for _ in range(times):
        engine.model(tokens, use_cache=False, logits_to_keep=1)
    return (time.perf_counter() - started) / times
with torch.inference_mode():
    print(json.dumps({"256 tokens": seconds(text, 3), "1 token": seconds(token, 15)}))
"""


@contextmanager
def counting(processes: int) -> Iterator[None]:
    """So many processes that want a core each, meanwhile."""
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(processes)]
    try:
        yield
    finally:
        for process in busy:
            process.kill()
            process.wait()


def measured(policy: str | None) -> dict[str, float]:
    """Seconds of each work, in a fresh process."""
    told = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    told |= {"OMP_WAIT_POLICY": policy} if policy else {}
    found: dict[str, float] = json.loads(subprocess.check_output([sys.executable, "-c", WORK], env=told))
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--busy", type=int, default=1, help="processes beside it, apart from an idle machine")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--json", type=Path, help="write all that was measured into this file")
    asked = parser.parse_args()
    found: dict[str, list[float]] = defaultdict(list)
    for _ in range(asked.rounds):
        for beside in (0, asked.busy):
            with counting(beside):
                for way, policy in WAYS.items():
                    for work, seconds in measured(policy).items():
                        found[f"{work}, {beside} beside: {way}"].append(seconds)
    for name, seconds in sorted(found.items()):
        print(f"{name:60} {statistics.median(seconds):8.3f} s")
    if asked.json:
        asked.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
