"""The daemon's branch of the error tree.

VicinalError
├── InputError (exit 2)
│   ├── ConfigError                an unknown key or a bad value in a settings file, the environment or a flag
│   ├── RecordsUnusable            a file of `vicinal eval` cannot be read, written or combined
│   ├── RecordsMismatch            it was measured with other settings, files or another model
│   ├── HistoryUnusable            git cannot tell a repository's history
│   ├── ExtraMissing               what was asked for needs an extra that is not installed
│   ├── InvalidKernel              similarities that no representation has
│   └── TooLarge                   a request with more bytes than any document has
├── ModelError (exit 4)
│   ├── ModelMissing               the model is not on this machine; the hint names the command that fetches it
│   ├── ModelDamaged               a file fails its checksum or cannot be parsed
│   ├── ModelUnusable              the model is of a kind that cannot be tuned or run here
│   └── EngineFailed               the process that runs the model failed; the daemon starts it again
│       ├── EngineCrashed          it died
│       ├── EngineHung             it did not answer in time and was ended
│       └── EngineOutOfMemory      it needed more memory than the settings allow
├── DaemonError (exit 5)
│   ├── DaemonNotRunning           there is none, and none was to be started
│   ├── DaemonRunning              there is one already
│   ├── DaemonUnreachable          it does not start, or does not answer
│   └── AccessDenied               the token is missing or wrong, or a web page asked
├── CalibrationError (exit 1)
│   ├── CalibrationDamaged         a file of the confidence's calibration is not as it was written
│   ├── CalibrationUnwritable      it cannot be written
│   └── RecordsTooFew              there is too little to fit a calibration on
└── RequestDropped (exit 6)
    ├── Superseded                 a newer request for the same document took its place
    ├── Withdrawn                  it was cancelled
    │   └── GaveWay                it was ended for something more urgent, and can be done again
    └── Busy                       too many wait already

Owns the names by which errors cross the API, too: a class in kebab case.
"""

import re
from collections.abc import Iterator

from vicinal_indexer.errors import InputError, VicinalError


class ConfigError(InputError):
    """A settings file, environment variable or flag has an unknown key or a bad value."""


class RecordsUnusable(InputError):
    """A file of `vicinal eval` cannot be read, written or combined with others."""


class RecordsMismatch(InputError):
    """A file of `vicinal eval` was measured with other settings, files or another model."""


class HistoryUnusable(InputError):
    """Git cannot tell a repository's history."""


INSTALL_PICTURES = 'install it: pip install "vicinal[pictures]"'
"""The hint of whoever draws."""


class ExtraMissing(InputError):
    """What was asked for needs an extra of the package that is not installed."""


class InvalidKernel(InputError):
    """Similarities from elsewhere are not those of any representation: not symmetric, or not positive semi-definite."""


class TooLarge(InputError):
    """A request has more bytes than any document that is completed."""

    remedy = "send less; generated and data files are best left alone"


class ModelError(VicinalError):
    """The language model cannot be had or used."""

    exit_code = 4


class ModelMissing(ModelError):
    """The model is not on this machine."""


class ModelDamaged(ModelError):
    """A model file fails its checksum or cannot be parsed."""

    remedy = "fetch it anew (vicinal models pull NAME --force), or copy your own files again"


class ModelUnusable(ModelError):
    """The model loads but cannot do what was asked, for example be tuned."""


class EngineFailed(ModelError):
    """The process that runs the model failed. It costs the request that ran; the daemon starts the process again."""

    remedy = "ask again; if it recurs, `vicinal daemon logs` tells more"


class EngineCrashed(EngineFailed):
    """The engine process died."""


class EngineHung(EngineFailed):
    """The engine process gave no sign of life for too long, and was ended."""


class EngineOutOfMemory(EngineFailed):
    """The engine process needed more memory than the settings allow, and was ended."""

    remedy = "raise engine.memory_mb, lower prompt.context_tokens or tune.max_tokens, or take a smaller model"


class CalibrationError(VicinalError):
    """How sure answers are cannot be said, or not be learned."""


class CalibrationDamaged(CalibrationError):
    """A calibration is not as it was written, or of another schema."""

    remedy = "fit it again (benchmarks/calibrate.py); the one of the package comes back with a new installation"


class CalibrationUnwritable(CalibrationError):
    """A calibration cannot be written."""

    remedy = "free some disk space or mend the permissions, or name another file"


class RecordsTooFew(CalibrationError):
    """There is too little to fit a calibration on."""

    remedy = "give records of two repositories or more, with right answers and wrong ones in each fold"


class DaemonError(VicinalError):
    """Something is wrong between a client and the daemon."""

    exit_code = 5


class DaemonNotRunning(DaemonError):
    """There is no daemon."""

    remedy = "start it: vicinal daemon start"


class DaemonRunning(DaemonError):
    """There is a daemon already; one serves all editors and repositories of a user."""

    remedy = "`vicinal daemon status` tells about it, `vicinal daemon restart` starts it anew"


class DaemonUnreachable(DaemonError):
    """The daemon does not start, or does not answer."""

    remedy = "`vicinal daemon logs` tells why; `vicinal daemon restart` starts it anew"


class AccessDenied(DaemonError):
    """The caller may not: no valid token, or a web page."""


class RequestDropped(VicinalError):
    """A request was not answered, and that is how it should be."""

    exit_code = 6


class Superseded(RequestDropped):
    """A newer request for the same document took its place."""


class Withdrawn(RequestDropped):
    """The request was cancelled, or its client has gone."""


class GaveWay(Withdrawn):
    """A unit of work was ended for something more urgent, as if it had not begun; it can be done again."""


class Busy(RequestDropped):
    """Too many requests wait already."""

    remedy = "ask again in a moment"


def error_type(error_class: type[VicinalError]) -> str:
    """The name of an error in the API: its class in kebab case, `store-locked` for `StoreLocked`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "-", error_class.__name__).lower()


def errors_by_type() -> dict[str, type[VicinalError]]:
    """Every class of the error tree, by its name in the API."""

    def tree(root: type[VicinalError]) -> Iterator[type[VicinalError]]:
        yield root
        for below in root.__subclasses__():
            yield from tree(below)

    return {error_type(found): found for found in tree(VicinalError)}


def from_trouble(type_name: str, message: str, hint: str = "") -> VicinalError:
    """The error that crossed the API, as the daemon raised it; `DaemonUnreachable` if this side does not know it."""
    known = errors_by_type().get(type_name)
    if known is None:
        return DaemonUnreachable(f"the daemon failed with {type_name}: {message}", hint=hint)
    return known(message, hint=hint)
