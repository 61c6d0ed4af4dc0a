"""Rectangles whose areas are weights: the squarified treemap.

Owns the geometry, and how files nest in folders. Pure; it does not know what the weights or the rectangles mean.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from vicinal_daemon.map.survey import MeasuredFile


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle; y grows downwards."""

    x: float
    y: float
    width: float
    height: float

    @property
    def area(self) -> float:
        """width * height."""
        return self.width * self.height

    def inside(self, padding: float, header: float) -> "Box":
        """What is left within a padding on all sides and a header on top; empty rather than negative."""
        width, height = max(0.0, self.width - 2 * padding), max(0.0, self.height - 2 * padding - header)
        return Box(self.x + padding, self.y + padding + header, width, height)


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder with everything below it; `name` has several parts where a folder holds nothing but one folder.

    Attributes:
        path: "" for the root.
        lines: of all files below.
    """

    name: str
    path: str
    lines: int
    entries: tuple["Folder | MeasuredFile", ...]

    def files(self) -> Iterator[MeasuredFile]:
        """All files below, in the order of drawing."""
        for entry in self.entries:
            if isinstance(entry, Folder):
                yield from entry.files()
            else:
                yield entry


def nest(files: Sequence[MeasuredFile], root: str) -> Folder:
    """The tree of files; `root` is what its root is called. Within a folder the largest come first."""
    return _nest(sorted(files, key=lambda file: file.path), root, "")


def _nest(files: Sequence[MeasuredFile], name: str, path: str) -> Folder:
    prefix = f"{path}/" if path else ""
    below: dict[str, list[MeasuredFile]] = {}
    entries: list[Folder | MeasuredFile] = []
    for file in files:
        head, slash, _ = file.path.removeprefix(prefix).partition("/")
        if slash:
            below.setdefault(head, []).append(file)
        else:
            entries.append(file)
    for head, held in below.items():
        folder = _nest(held, head, prefix + head)
        if len(folder.entries) == 1 and isinstance(only := folder.entries[0], Folder):
            folder = Folder(f"{head}/{only.name}", only.path, only.lines, only.entries)
        entries.append(folder)
    entries.sort(key=lambda entry: (-entry.lines, entry.path))
    return Folder(name, path, sum(entry.lines for entry in entries), tuple(entries))


def squarify(weights: Sequence[float], box: Box) -> list[Box]:
    """Fill `box` with one rectangle a weight, as square as can be, in the order of `weights`.

    Bruls, Huizing and van Wijk, "Squarified Treemaps", 2000: rows are filled along the shorter side of what is left,
    largest first, for as long as the worst aspect ratio of the row does not get worse.

    Args:
        weights: positive; areas are proportional to them.

    Raises:
        ValueError: a weight is not positive.
    """
    if any(weight <= 0 for weight in weights):
        raise ValueError("weights must be positive")
    order = sorted(range(len(weights)), key=lambda i: (-weights[i], i))
    left = float(sum(weights))
    boxes: dict[int, Box] = {}
    start = 0
    while start < len(order):
        end = _row_end([weights[i] for i in order[start:]], left, box) + start
        row = order[start:end]
        total = sum(weights[i] for i in row)
        share = 1.0 if end == len(order) else total / left
        slices, box = _row(box, share, [weights[i] / total for i in row])
        boxes |= zip(row, slices, strict=True)
        left -= total
        start = end
    return [boxes[i] for i in range(len(weights))]


def _row_end(weights: Sequence[float], left: float, box: Box) -> int:
    """How many of `weights`, the largest first, stand in the next row."""
    if not box.area:
        return len(weights)
    side = min(box.width, box.height)
    scale = box.area / left
    total, best = 0.0, float("inf")
    for count, weight in enumerate(weights):
        total += weight * scale
        # The worst aspect ratio of a row of area s and length w: max(w^2 r+ / s^2, s^2 / (w^2 r-)), as in the paper.
        worst = max(side**2 * weights[0] * scale / total**2, total**2 / (side**2 * weight * scale))
        if worst > best:
            return count
        best = worst
    return len(weights)


def _row(box: Box, share: float, shares: Sequence[float]) -> tuple[list[Box], Box]:
    """A strip along the shorter side with this share of the box, cut into `shares`; and the rest of the box."""
    upright = box.width >= box.height
    slices, place = [], 0.0
    for part in shares:
        if upright:
            slices.append(Box(box.x, box.y + place * box.height, box.width * share, box.height * part))
        else:
            slices.append(Box(box.x + place * box.width, box.y, box.width * part, box.height * share))
        place += part
    if upright:
        rest = Box(box.x + box.width * share, box.y, box.width * (1 - share), box.height)
    else:
        rest = Box(box.x, box.y + box.height * share, box.width, box.height * (1 - share))
    return slices, rest
