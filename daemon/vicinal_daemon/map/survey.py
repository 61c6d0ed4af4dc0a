"""What was found out about a repository: numbers of places, of files, of all.

Owns the values, and how places become a file's number and files a folder's. Pure; it does not know how anything is
measured or drawn.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import fmean
from typing import Any, Literal

Measure = Literal["irreducible", "coverage", "bits"]


@dataclass(frozen=True, slots=True)
class MeasuredPlace:
    """One place of a file, as a completion there would find it.

    Attributes:
        line: 1-based, the first of the lines that were hidden.
        irreducible: sigma_inf / sigma_0 in [0, 1]: what stays unknown if all candidates are learned without end.
        coverage: 1 - sigma_n^2 / sigma_0^2 in [0, 1]: the share of the variance that the picks explain.
        steps: n, how many picks a completion makes here.
        nearest: `PATH:LINE` of the first pick, "" if nothing was picked.
        bits: per byte of the hidden lines, by the language model; None where it was not asked.
    """

    line: int
    irreducible: float
    coverage: float
    steps: int
    nearest: str
    bits: float | None = None


@dataclass(frozen=True, slots=True)
class MeasuredFile:
    """A file and its places, by line; without places where none was measured.

    Attributes:
        path: relative to the repository, with `/`.
        lines: of the file that are not blank.
    """

    path: str
    language: str
    lines: int
    places: tuple[MeasuredPlace, ...]

    def value(self, measure: Measure) -> float | None:
        """The mean over the file's places; None if none was measured."""
        found = [value for place in self.places if (value := value_at(place, measure)) is not None]
        return fmean(found) if found else None

    def worst(self, measure: Measure) -> list[MeasuredPlace]:
        """The measured places, the least known first."""
        found = [(value, place) for place in self.places if (value := value_at(place, measure)) is not None]
        return [place for _, place in sorted(found, key=lambda pair: (-_unknown(pair[0], measure), pair[1].line))]


@dataclass(frozen=True, slots=True)
class Survey:
    """All of a repository.

    Attributes:
        name: of the repository, for people.
        files: by path.
        left_out: how many files were not looked at, because they hold prose or data.
        hidden_lines: how many lines are hidden at a place.
        model: that gave the bits; "" if none was asked.
        prompt_picks: how many picks stood in the prompt for that.
    """

    name: str
    files: tuple[MeasuredFile, ...]
    left_out: int
    seed: int
    hidden_lines: int
    candidates: int
    model: str = ""
    prompt_picks: int = 0

    @property
    def lines(self) -> int:
        """Of all files."""
        return sum(file.lines for file in self.files)

    @property
    def places(self) -> int:
        """Of all files."""
        return sum(len(file.places) for file in self.files)

    @property
    def measures(self) -> tuple[Measure, ...]:
        """What there are numbers of."""
        return ("irreducible", "coverage", "bits") if self.model else ("irreducible", "coverage")

    def to_json(self) -> dict[str, Any]:
        """Plain values; docs/map.md names them."""
        return {
            "repository": self.name,
            "seed": self.seed,
            "lines": self.lines,
            "places": self.places,
            "left_out": self.left_out,
            "hidden_lines": self.hidden_lines,
            "candidates": self.candidates,
            "model": self.model or None,
            **{measure: _rounded(overall(self.files, measure)) for measure in self.measures},
            "files": [self._file(file) for file in self.files],
        }

    def _file(self, file: MeasuredFile) -> dict[str, Any]:
        return {
            "path": file.path,
            "language": file.language,
            "lines": file.lines,
            **{measure: _rounded(file.value(measure)) for measure in self.measures},
            "places": [
                {
                    "line": place.line,
                    **{measure: _rounded(value_at(place, measure)) for measure in self.measures},
                    "steps": place.steps,
                    "nearest": place.nearest or None,
                }
                for place in file.places
            ],
        }


def value_at(place: MeasuredPlace, measure: Measure) -> float | None:
    """One number of a place."""
    return {"irreducible": place.irreducible, "coverage": place.coverage, "bits": place.bits}[measure]


def overall(files: Iterable[MeasuredFile], measure: Measure) -> float | None:
    """The mean over files, each weighted by its lines; None if none of them was measured."""
    found = [(file.lines, value) for file in files if (value := file.value(measure)) is not None]
    lines = sum(weight for weight, _ in found)
    return sum(weight * value for weight, value in found) / lines if lines else None


def _unknown(value: float, measure: Measure) -> float:
    return -value if measure == "coverage" else value


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
