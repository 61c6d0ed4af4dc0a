"""Fits the gate of the token-level memory on development repositories.

    python benchmarks/gate.py REPO... [--tasks 16] [--lines 3] [--seed 1] [--examples FOLDER] [--write]

Hides lines at seeded places, has the model predict them with and without code in the prompt, and notes for each token
what the model and the memory say. Then fits the weights by maximum likelihood of the mixture (`memory.gate`). The table
is of each repository with weights that were fitted on the others; --write stores those of all in the package.
"""

import argparse
import json
import pickle
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from vicinal_daemon.cli.indexes import load_settings
from vicinal_daemon.cli.progress import stages
from vicinal_daemon.cli.workbench import open_workbench
from vicinal_daemon.complete import prompt_for, tunable
from vicinal_daemon.evaluate.tasks import Corpus, sample_lines
from vicinal_daemon.generate.remembered import Remembered
from vicinal_daemon.memory import Gate, Memory, gate
from vicinal_daemon.memory.gate import EQUAL, GATE_FEATURES, MATCH_FEATURES, told_of
from vicinal_daemon.memory.memory import MOST_MATCHES
from vicinal_daemon.neighbourhood import chosen, find_candidates
from vicinal_daemon.stages import Stopwatch

FORMS = ("in-file", "prompt:sift")
STEPS = 400
RATE = 0.03
DECAY = 1e-3


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """One token of a hidden text: what model and memory said before it.

    Attributes:
        tokens, features: see `Memory.recall`.
        model: see `told_of`.
        of_tokens: (H,) log p_model of the recalled tokens.
        best: the model's likeliest token.
        truth: the token itself, and its log p_model.
    """

    form: str
    tokens: NDArray[np.int64]
    features: NDArray[np.float64]
    model: tuple[float, float]
    of_tokens: NDArray[np.float64]
    best: int
    truth: tuple[int, float]


@dataclass(frozen=True, slots=True)
class Corpora:
    """The examples of one repository, and how many bytes were hidden (for one form)."""

    name: str
    hidden_bytes: int
    examples: list[Example]


class Recorder:
    """Stands where the memory is mixed in, and notes what it would have had to go by. It mixes nothing."""

    def __init__(self, memory: Memory, form: str) -> None:
        self._memory, self._form = memory, form
        self._waiting: NDArray[np.float32] | None = None
        self._context: Sequence[int] = ()
        self.examples: list[Example] = []

    def mix(self, context: Sequence[int], row: NDArray[np.float32]) -> NDArray[np.float32]:
        self.finish(context[-1])
        self._context, self._waiting = list(context), row
        return row

    def finish(self, token: int) -> None:
        """What was asked for last turned out to be `token`."""
        row = self._waiting
        if row is None:
            return
        tokens, features = self._memory.recall(self._context)
        said = row[tokens].astype(np.float64)
        self.examples.append(
            Example(self._form, tokens, features, told_of(row), said, int(row.argmax()), (token, float(row[token])))
        )
        self._waiting = None


def collect(root: Path, tasks: int, lines: int, seed: int) -> Corpora:
    """Let the model read."""
    settings = load_settings(None, {"seed": seed})
    examples: list[Example] = []
    hidden = 0
    with stages() as on_stage, open_workbench(root, settings, Stopwatch(), on_stage) as bench:
        engine = tunable(bench.engine)
        files = dict(bench.index.texts())
        remembered = Remembered(engine.codec)
        remembered.update(files)
        places = sample_lines(Corpus(files), tasks, seed, lines=lines)
        for number, task in enumerate(places):
            on_stage("places", number, len(places))
            target = task.target
            chunks = find_candidates(bench.index, engine.codec.offsets, target, settings)
            choice = chosen(bench.index, chunks, engine.codec.offsets, target, settings, "sift")
            snippets = choice.snippets(settings.prompt.picks)
            memory = remembered.at(task.path, task.left, task.right)
            for form, shown in zip(FORMS, ([], snippets), strict=True):
                prompt = prompt_for(target, shown, engine, settings)
                stem, whole = prompt.text.removesuffix("\n"), prompt.text + task.truth
                recorder = Recorder(memory, form)
                engine.score_under(None, whole, len(stem), recorder.mix)
                recorder.finish(engine.codec.encode(whole)[0][-1])
                examples += recorder.examples
            hidden += len(task.truth.encode()) + 1
    return Corpora(root.name, hidden, examples)


class Batch:
    """Examples as tensors, padded to as many matches."""

    def __init__(self, examples: Sequence[Example]) -> None:
        shape = len(examples), MOST_MATCHES
        self.examples = examples
        features = np.zeros((*shape, len(MATCH_FEATURES)))
        tokens = np.full(shape, -1)
        of_tokens = np.zeros(shape)
        for row, example in enumerate(examples):
            count = len(example.tokens)
            features[row, :count] = example.features
            tokens[row, :count], of_tokens[row, :count] = example.tokens, example.of_tokens
        truth = np.array([example.truth[0] for example in examples])
        self.tokens = torch.tensor(tokens)
        self.there = self.tokens >= 0
        self.features = torch.tensor(features)
        self.hit = torch.tensor(tokens == truth[:, None]).double()
        self.same = torch.tensor((tokens[:, :, None] == tokens[:, None, :]) & (tokens[:, None, :] >= 0)).double()
        self.of_tokens = torch.tensor(of_tokens)
        self.agree = torch.tensor(tokens == np.array([example.best for example in examples])[:, None]).double()
        self.model = torch.tensor([example.model for example in examples], dtype=torch.float64)
        self.truth = torch.tensor([example.truth[1] for example in examples], dtype=torch.float64)

    def log_likelihood(self, match: torch.Tensor, gating: torch.Tensor) -> torch.Tensor:
        """(N,) natural log p of each truth under the mixture; the sums of `Gate.mixed` that can be differentiated."""
        any_match = self.there.any(1)
        scores = (self.features @ match).masked_fill(~self.there, -torch.inf)
        weights = torch.softmax(scores.masked_fill(~any_match[:, None], 0.0), 1) * self.there
        of_same = torch.einsum("nh,nkh->nk", weights, self.same)  # p_memory of each match's token
        best = of_same.max(1).values
        likeliest = of_same >= best[:, None] * (1 - EQUAL)
        which = self.tokens.masked_fill(~likeliest | ~self.there, torch.iinfo(torch.int64).max).min(1).indices
        lengths = self.features[:, :, 0]
        longest = lengths.max(1).values
        ties = ((lengths == longest[:, None]) & self.there).sum(1)
        at_best = [value.gather(1, which[:, None])[:, 0] for value in (self.of_tokens, self.agree)]
        spread = -(weights * of_same.clamp_min(1e-12).log()).sum(1)
        told = torch.stack(
            [
                torch.ones_like(best),
                longest / 8,
                longest.log1p(),
                ties.double().log1p(),
                best,
                spread,
                self.model[:, 0],
                self.model[:, 1] / 3,
                at_best[0].clamp_min(-12.0) / 4,
                at_best[1],
            ],
            1,
        )
        share = torch.sigmoid(told @ gating) * any_match
        return ((1 - share) * self.truth.exp() + share * (weights * self.hit).sum(1)).clamp_min(1e-12).log()


def fit(examples: Sequence[Example]) -> Gate:
    """Maximum likelihood, with a little weight decay."""
    batch = Batch(examples)
    match = torch.tensor([0.2, 1.0, 0.3, 0.5, 0.1, 0.3], dtype=torch.float64, requires_grad=True)
    gating = torch.tensor([-1.0, *[0.0] * (len(GATE_FEATURES) - 1)], dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.Adam([match, gating], lr=RATE, weight_decay=DECAY)
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss = -batch.log_likelihood(match, gating).mean()
        loss.backward()
        optimizer.step()
    return Gate(tuple(match.tolist()), tuple(gating.tolist()))


def nats(examples: Sequence[Example], gate_used: Gate | None) -> float:
    """Of all truths together; None: the model alone."""
    if gate_used is None:
        return -sum(example.truth[1] for example in examples)
    weights = torch.tensor(gate_used.match_weights), torch.tensor(gate_used.gate_weights)
    batch = Batch(examples)
    return -float(batch.log_likelihood(weights[0].double(), weights[1].double()).sum())


def table(found: Sequence[Corpora]) -> Iterator[str]:
    """Each repository with weights that it has no part in."""
    yield "| repository | tokens | in-file | + memory | ratio | prompt:sift | + memory | ratio |"
    yield "|---|---|---|---|---|---|---|---|"
    for one in found:
        others = [example for other in found if other is not one for example in other.examples]
        fitted = fit(others or one.examples)
        cells = []
        for form in FORMS:
            own = [example for example in one.examples if example.form == form]
            base, mixed = (nats(own, which) / np.log(2) / one.hidden_bytes for which in (None, fitted))
            cells += [f"{base:.3f}", f"{mixed:.3f}", f"{mixed / base:.3f}"]
        yield f"| {one.name} | {len(one.examples) // 2} | " + " | ".join(cells) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("repositories", nargs="+", type=Path)
    parser.add_argument("--tasks", type=int, default=16)
    parser.add_argument("--lines", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--examples", type=Path, help="a folder where what was read is kept, to fit again")
    parser.add_argument("--write", action="store_true", help="store the weights in the package")
    asked = parser.parse_args()
    found: list[Corpora] = []
    for root in asked.repositories:
        kept = asked.examples / f"{root.name}.pickle" if asked.examples else None
        if kept is not None and kept.exists():
            found.append(pickle.loads(kept.read_bytes()))  # noqa: S301 - written below
            continue
        found.append(collect(root, asked.tasks, asked.lines, asked.seed))
        if kept is not None:
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.write_bytes(pickle.dumps(found[-1]))
    print("\n".join(table(found)))
    everything = [example for one in found for example in one.examples]
    fitted = fit(everything)
    told = {
        "fitted_on": [one.name for one in found],
        "tokens": len(everything),
        "match_weights": dict(zip(MATCH_FEATURES, (round(w, 4) for w in fitted.match_weights), strict=True)),
        "gate_weights": dict(zip(GATE_FEATURES, (round(w, 4) for w in fitted.gate_weights), strict=True)),
    }
    print(json.dumps(told, indent=1))
    if asked.write:
        Path(gate.__file__).with_name("gate.json").write_text(json.dumps(told, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
