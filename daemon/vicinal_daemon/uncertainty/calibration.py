"""A fitted calibrator as a file: what it is, where it came from, how good it was on repositories that it had not seen.

Owns the file's form, its checks, and which file counts: the user's own one, else the one that comes with the package.
It does not know how a calibrator is fitted.
"""

import json
import logging
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from vicinal_daemon.errors import CalibrationDamaged, CalibrationUnwritable
from vicinal_daemon.uncertainty.calibrator import Calibrator
from vicinal_daemon.uncertainty.features import FEATURES
from vicinal_daemon.uncertainty.scoring import Bin, Estimate, Hiding
from vicinal_indexer.atomic import replace_text
from vicinal_indexer.types import digest

SCHEMA: Final = 1
DEFAULT: Final = "default_calibration.json"
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Source:
    """A repository that answers came from. `tasks` places gave `answers` answers, of which `right` were exact."""

    repository: str
    commit: str
    language: str
    tasks: int
    answers: int
    right: int


@dataclass(frozen=True, slots=True)
class DataSheet:
    """What a calibration rests on. All measures are of answers of repositories left out of the fit, one at a time.

    Attributes:
        fitted: date, ISO 8601.
        model: that wrote the answers.
        modes: how they were written (`evaluate.modes`).
        sources: repositories.
        penalty: see `calibrator.fit`.
        measures: by name, with 95 % intervals.
        reliability: claims against outcomes, in bins of equal mass.
        hiding: what thresholds do.
    """

    fitted: str
    model: str
    modes: tuple[str, ...]
    sources: tuple[Source, ...]
    penalty: float
    measures: dict[str, Estimate]
    reliability: tuple[Bin, ...]
    hiding: tuple[Hiding, ...]

    @property
    def answers(self) -> int:
        """How many answers it was fitted on."""
        return sum(source.answers for source in self.sources)

    def to_hide(self, wrong: float) -> Hiding:
        """The threshold that hides at least this share of the wrong answers; the highest there is if none does."""
        return next((one for one in self.hiding if one.wrong_hidden >= wrong - 1e-9), self.hiding[-1])


@dataclass(frozen=True, slots=True)
class Calibration:
    """A calibrator and its data sheet."""

    calibrator: Calibrator
    sheet: DataSheet


_FORM: Final[TypeAdapter[Calibration]] = TypeAdapter(Calibration)


def default_calibration() -> Calibration:
    """The one that comes with the package.

    Raises:
        CalibrationDamaged: the installation is broken.
    """
    file = resources.files("vicinal_daemon.uncertainty") / DEFAULT
    return parsed(file.read_text(encoding="utf-8"), f"the package's {DEFAULT}")


def calibration_file(data_dir: Path) -> Path:
    """Where the user's own calibration lies, if there is one."""
    return data_dir / "calibration.json"


def load(data_dir: Path) -> Calibration:
    """The user's own calibration, else the package's. A damaged one is set aside under another name, with a warning.

    Raises:
        CalibrationDamaged: the package's is damaged.
    """
    file = calibration_file(data_dir)
    try:
        return parsed(file.read_text(encoding="utf-8"), str(file))
    except FileNotFoundError:
        return default_calibration()
    except (OSError, UnicodeDecodeError, CalibrationDamaged) as error:
        said = error.message if isinstance(error, CalibrationDamaged) else f"{file} cannot be read: {error}"
        _log.warning("%s; the calibration that comes with the package is used", said)
        _set_aside(file)
        return default_calibration()


def parsed(text: str, name: str) -> Calibration:
    """The calibration that a file's text says.

    Args:
        name: of the file, for messages.

    Raises:
        CalibrationDamaged: it is of another schema, was changed, or names features that there are not.
    """
    try:
        held: Any = json.loads(text)
        schema, checksum, body = held["schema"], held["checksum"], held["calibration"]
    except (ValueError, TypeError, KeyError) as error:
        raise CalibrationDamaged(f"{name} is no calibration: {error!r}") from error
    if schema != SCHEMA:
        raise CalibrationDamaged(f"{name} is of schema {schema}; this Vicinal reads {SCHEMA}")
    if checksum != digest(_canonical(body)):
        raise CalibrationDamaged(f"{name} is not as it was written: its checksum differs")
    try:
        found = _FORM.validate_python(body)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise CalibrationDamaged(f"{name} cannot be used: {place}: {first['msg']}") from error
    if unknown := set(found.calibrator.features) - set(FEATURES):
        raise CalibrationDamaged(f"{name} names features that this Vicinal does not know: {', '.join(sorted(unknown))}")
    return found


def text_of(calibration: Calibration) -> str:
    """What `parsed` reads."""
    body = json.loads(json.dumps(asdict(calibration)))
    return json.dumps({"schema": SCHEMA, "checksum": digest(_canonical(body)), "calibration": body}, indent=1) + "\n"


def save(calibration: Calibration, file: Path) -> None:
    """Write the file as a whole.

    Raises:
        CalibrationUnwritable: it cannot be written.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        replace_text(file, text_of(calibration))
    except OSError as error:
        raise CalibrationUnwritable(f"{file} cannot be written: {error}") from error


def _canonical(body: Any) -> str:
    return json.dumps(body, sort_keys=True, separators=(",", ":"))


def _set_aside(file: Path) -> None:
    number = 1
    while (aside := file.with_name(f"{file.name}.damaged-{number}")).exists():
        number += 1
    try:
        file.replace(aside)
    except OSError as error:
        _log.warning("%s stays where it is: %s", file, error)
