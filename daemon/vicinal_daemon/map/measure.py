"""From places to numbers: each is asked about as a completion there would ask.

Owns what is asked at a place, of the index and, where bits are wanted, of the language model. Candidates, choice and
prompt are the product's own, not a copy. It does not know how the numbers are drawn.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from vicinal_daemon.complete import prompt_for
from vicinal_daemon.config import Settings
from vicinal_daemon.generate.post import bits_per_byte
from vicinal_daemon.generate.transformers_engine import TransformersEngine
from vicinal_daemon.map.places import code_lines, lines_to_measure, share_places
from vicinal_daemon.map.survey import MeasuredFile, MeasuredPlace, Survey
from vicinal_daemon.neighbourhood import Choice, choose, find_candidates
from vicinal_daemon.target import Target
from vicinal_indexer import languages
from vicinal_indexer.index import RepositoryIndex

HIDDEN_LINES = 3
"""What is predicted at a place, as in the benchmarks."""

NO_CODE = frozenset(
    "markdown rst org latex bibtex typst mermaid po json yaml toml ini properties kdl ron xml dtd "
    "requirements gitignore gitattributes".split()
)
"""Languages of prose and data, and "" for no language that is known: their files are left out unless asked for."""

_WORD = re.compile(r"\w+|[^\w\s]")

OnPlace = Callable[[int, int], None]
"""Called with (done, total)."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What will be measured.

    Attributes:
        texts: path -> text of the files that are drawn.
        lines: path -> the lines of its places, where it has any.
        left_out: how many files are not drawn.
    """

    texts: Mapping[str, str]
    lines: Mapping[str, Sequence[int]]
    left_out: int

    @property
    def places(self) -> int:
        """In all."""
        return sum(map(len, self.lines.values()))


def is_code(path: str, text: str) -> bool:
    """Whether a file's language is one of code, markup of pages and styles included."""
    language = languages.detect(path, text[:200])
    return bool(language) and language not in NO_CODE


def plan(texts: Mapping[str, str], total: int, seed: int, wanted: Callable[[str, str], bool] = is_code) -> Plan:
    """Choose at most `total` places in the files that are `wanted` (path, text) and not empty.

    Args:
        texts: path -> text of every file.
        seed: same files and seed, same places.
    """
    drawn = {path: text for path, text in sorted(texts.items()) if text.strip() and wanted(path, text)}
    counts = share_places({path: code_lines(text) for path, text in drawn.items()}, total)
    lines = {path: lines_to_measure(path, drawn[path], count, seed) for path, count in sorted(counts.items())}
    return Plan(drawn, {path: found for path, found in lines.items() if found}, len(texts) - len(drawn))


def survey(
    index: RepositoryIndex, plan: Plan, settings: Settings, on_place: OnPlace = lambda done, total: None
) -> Survey:
    """Measure every place of a plan; needs no language model.

    Raises:
        VicinalError: the store cannot be used.
    """
    measured: dict[str, list[MeasuredPlace]] = {}
    done = 0
    on_place(0, plan.places)
    for path, lines in plan.lines.items():
        for line in lines:
            target = target_at(path, plan.texts[path], line)
            measured.setdefault(path, []).append(_measured(line, _choice(index, target, settings)))
            done += 1
            on_place(done, plan.places)
    files = tuple(
        MeasuredFile(path, languages.detect(path, text[:200]), code_lines(text), tuple(measured.get(path, ())))
        for path, text in plan.texts.items()
    )
    return Survey(index.root.name, files, plan.left_out, settings.seed, HIDDEN_LINES, settings.index.candidates)


def with_bits(
    surveyed: Survey,
    texts: Mapping[str, str],
    index: RepositoryIndex,
    engine: TransformersEngine,
    settings: Settings,
    count: int,
    on_place: OnPlace = lambda done, total: None,
) -> Survey:
    """Let the language model read up to `count` of the places: seconds each on a CPU.

    The first place of every file comes first, the largest file before the others, then the second places.

    Raises:
        VicinalError: the store or the model cannot be used.
    """
    chosen = list(_by_turns(surveyed.files))[:count]
    bits: dict[tuple[str, int], float] = {}
    on_place(0, len(chosen))
    for path, line in chosen:
        target = target_at(path, texts[path], line)
        bits[path, line] = read_bits(engine, target, _choice(index, target, settings), settings)
        on_place(len(bits), len(chosen))
    files = tuple(
        replace(file, places=tuple(replace(place, bits=bits.get((file.path, place.line))) for place in file.places))
        for file in surveyed.files
    )
    return replace(surveyed, files=files, model=engine.name, prompt_picks=settings.prompt.picks)


def target_at(path: str, text: str, line: int) -> Target:
    """The place where `HIDDEN_LINES` lines from `line` on are hidden; the cursor is at the end of the line before.

    Cutting behind the newline would split tokens in a way that no model has seen.
    """
    rows = text.split("\n")
    left = "\n".join(rows[: line - 1])
    hidden = "\n" + "\n".join(rows[line - 1 : line - 1 + HIDDEN_LINES])
    return Target(path, left, hidden, text[len(left) + len(hidden) :], line, 1, HIDDEN_LINES)


def words(text: str) -> list[tuple[int, int]]:
    """[start, end) of each word and sign: a tokenizer's stand-in, so that no language model is needed.

    It decides only how many lines count as visible, and are left out of the candidates.
    """
    return [match.span() for match in _WORD.finditer(text)]


def read_bits(engine: TransformersEngine, target: Target, choice: Choice, settings: Settings) -> float:
    """Bits per byte of the hidden lines by the base model, with the first picks in the prompt."""
    prompt = prompt_for(target, choice.snippets(settings.prompt.picks), engine, settings)
    start, end = prompt.context
    scores = engine.score(prompt.text + target.hidden, start)
    return bits_per_byte(scores.between(end, end + len(target.hidden)), target.hidden)


def _choice(index: RepositoryIndex, target: Target, settings: Settings) -> Choice:
    return choose(find_candidates(index, words, target, settings), target, settings, "sift")


def _measured(line: int, choice: Choice) -> MeasuredPlace:
    found = choice.selection
    before, after = found.variances[0], found.variances[-1]
    nearest = next((f"{chunk.path}:{chunk.start_line}" for chunk in choice.picked()[:1]), "")
    if before <= 0.0:  # no word before the cursor: nothing is asked, and nothing known
        return MeasuredPlace(line, 1.0, 0.0, 0, "")
    irreducible = (min(1.0, found.irreducible / before)) ** 0.5
    return MeasuredPlace(line, irreducible, max(0.0, 1.0 - after / before), len(found.picks), nearest)


def _by_turns(files: Sequence[MeasuredFile]) -> Iterator[tuple[str, int]]:
    largest_first = sorted((file for file in files if file.places), key=lambda file: (-file.lines, file.path))
    for turn in range(max((len(file.places) for file in largest_first), default=0)):
        yield from ((file.path, file.places[turn].line) for file in largest_first if turn < len(file.places))
