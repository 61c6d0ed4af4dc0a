"""Colours: from a number to a colour that everybody can tell apart, and what each measure is called.

Owns the words and the direction of the measures: bright is known, dark is not, in all of them. Pure.
"""

from dataclasses import dataclass

from vicinal_daemon.map.survey import Measure

Colour = tuple[int, int, int]

VIRIDIS: tuple[Colour, ...] = (
    (0x44, 0x01, 0x54), (0x48, 0x28, 0x78), (0x3E, 0x49, 0x89), (0x31, 0x68, 0x8E), (0x26, 0x82, 0x8E),
    (0x1F, 0x9E, 0x89), (0x35, 0xB7, 0x79), (0x6E, 0xCE, 0x58), (0xB5, 0xDE, 0x2B), (0xFD, 0xE7, 0x25),
)  # fmt: skip
"""Matplotlib's viridis at ten equal steps, dark to bright: its brightness alone tells the order, so that it can be read
with any kind of colour vision and in print (Smith and van der Walt, 2015)."""


@dataclass(frozen=True, slots=True)
class Wording:
    """How a measure is called and explained.

    Attributes:
        short: for the head of a narrow column.
        unknown, known: the values at the dark and at the bright end of the scale; beyond them the colour stays.
        low, high: what the dark and the bright end mean, in a few words.
    """

    name: str
    short: str
    explained: str
    unknown: float
    known: float
    low: str
    high: str


WORDING: dict[Measure, Wording] = {
    "irreducible": Wording(
        "Irreducible uncertainty",
        "σ∞",
        "What would stay unknown before a hidden line of the file if Vicinal learned everything that it finds "
        "elsewhere in the repository (sigma infinity, 0 to 1). High: the repository has nothing like this code.",
        0.9,
        0.1,
        "nothing like it",
        "all of it is elsewhere, too",
    ),
    "coverage": Wording(
        "Coverage",
        "share",
        "The share of the uncertainty (variance) before a hidden line that is gone after the few pieces of code "
        "that one completion learns from (1 - sigma n squared / sigma 0 squared). Low while the irreducible "
        "uncertainty is low, too: the code is there, but one completion has not enough picks for it.",
        0.1,
        0.9,
        "the picks tell nothing",
        "the picks tell all",
    ),
    "bits": Wording(
        "Bits per byte",
        "bits",
        "What the language model must be told, byte for byte, to get the hidden lines right, with the picked code in "
        "its prompt and without tuning. Low: the model could have written it.",
        2.0,
        0.0,
        "news to the model",
        "the model knows it",
    ),
}


def colour_of(value: float, measure: Measure) -> Colour:
    """The colour of a value, on the same scale in every repository."""
    wording = WORDING[measure]
    return bright((value - wording.unknown) / (wording.known - wording.unknown))


def bright(known: float) -> Colour:
    """From dark (0) to bright (1)."""
    place = min(1.0, max(0.0, known)) * (len(VIRIDIS) - 1)
    below = min(int(place), len(VIRIDIS) - 2)
    first, second, share = VIRIDIS[below], VIRIDIS[below + 1], place - below
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(first, second, strict=True))
    return red, green, blue


def ink_on(colour: Colour) -> Colour:
    """Black or white, whichever can be read better on a colour: the contrast is at least 4.5 (WCAG 2.2, AA)."""
    return (0, 0, 0) if contrast((0, 0, 0), colour) >= contrast((255, 255, 255), colour) else (255, 255, 255)


def contrast(first: Colour, second: Colour) -> float:
    """The contrast ratio of two colours, 1 to 21 (WCAG 2.2)."""
    low, high = sorted((_luminance(first), _luminance(second)))
    return (high + 0.05) / (low + 0.05)


def hexadecimal(colour: Colour) -> str:
    """As CSS writes it."""
    return "#{:02x}{:02x}{:02x}".format(*colour)


def _luminance(colour: Colour) -> float:
    def linear(value: int) -> float:
        share = value / 255
        return share / 12.92 if share <= 0.04045 else float(((share + 0.055) / 1.055) ** 2.4)

    red, green, blue = map(linear, colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
