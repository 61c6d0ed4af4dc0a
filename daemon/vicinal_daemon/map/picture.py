"""The map as a PNG, for a README or a slide.

Owns the drawing, and is the only importer of Pillow, which is an extra. What the colours mean it asks of `scale`.
"""

from io import BytesIO
from typing import TYPE_CHECKING

from vicinal_daemon.errors import INSTALL_PICTURES, ExtraMissing
from vicinal_daemon.map.page import printable
from vicinal_daemon.map.scale import WORDING, Colour, bright, colour_of, ink_on
from vicinal_daemon.map.survey import Measure, Survey, overall
from vicinal_daemon.map.treemap import Box, Folder, nest, squarify

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw
    from PIL.ImageFont import FreeTypeFont

WIDTH, HEIGHT = 1600, 1000
MARGIN, TOP = 28, 116
HEADER, PADDING = 22, 3
PAPER: Colour = (0xF7, 0xF7, 0xF5)
INK: Colour = (0x1C, 0x1D, 0x1F)
SOFT: Colour = (0x5B, 0x5E, 0x63)
FRAME: Colour = (0xEC, 0xEC, 0xE8)
LINE: Colour = (0xD0, 0xD0, 0xCA)
BLANK: Colour = (0xD9, 0xD9, 0xD4)


def png(survey: Survey, measure: Measure) -> bytes:
    """The map in the colours of `measure`, 1600 by 1000 pixels.

    Raises:
        ExtraMissing: Pillow is not installed, or cannot write text.
    """
    try:
        from PIL import Image, ImageDraw, ImageFont
    except ImportError as error:
        raise ExtraMissing("a PNG is drawn by Pillow, which is not installed", hint=INSTALL_PICTURES) from error
    image = Image.new("RGB", (WIDTH, HEIGHT), PAPER)
    sizes = {size: ImageFont.load_default(size) for size in (13, 15, 17, 30)}
    fonts = {size: font for size, font in sizes.items() if isinstance(font, ImageFont.FreeTypeFont)}
    if len(fonts) < len(sizes):
        raise ExtraMissing("this Pillow was built without FreeType, and cannot write text", hint=INSTALL_PICTURES)
    pen = _Pen(ImageDraw.Draw(image), fonts)
    _heading(pen, survey, measure)
    space = Box(MARGIN, TOP, WIDTH - 2 * MARGIN, HEIGHT - TOP - MARGIN)
    _folder(pen, nest(survey.files, printable(survey.name)), space, measure)
    out = BytesIO()
    image.save(out, "PNG", optimize=True)
    return out.getvalue()


class _Pen:
    """Rectangles and text that fits."""

    def __init__(self, draw: "ImageDraw", fonts: "dict[int, FreeTypeFont]") -> None:
        self._draw = draw
        self._fonts = fonts

    def fill(self, box: Box, colour: Colour, outline: Colour | None = None) -> None:
        """A rectangle; one of less than a pixel is left out."""
        left, top = round(box.x), round(box.y)
        right, bottom = round(box.x + box.width) - 1, round(box.y + box.height) - 1
        if right >= left and bottom >= top:
            self._draw.rectangle((left, top, right, bottom), colour, outline)

    def write(self, text: str, x: float, y: float, size: int, colour: Colour, width: float = WIDTH) -> float:
        """Text from (x, y) on, cut to `width` with an ellipsis; returns its width, 0 if too little would be left."""
        font = self._fonts[size]
        kept = text
        while kept and font.getlength(kept if kept == text else f"{kept}…") > width:
            kept = kept[:-1]
        if len(kept) < min(4, len(text)):
            return 0.0
        shown = kept if kept == text else f"{kept}…"
        self._draw.text((round(x), round(y)), shown, fill=colour, font=font)
        return font.getlength(shown)

    def width(self, text: str, size: int) -> float:
        """How wide a text is."""
        return self._fonts[size].getlength(text)


def _heading(pen: _Pen, survey: Survey, measure: Measure) -> None:
    wording = WORDING[measure]
    pen.write(f"Where the model knows {printable(survey.name)}", MARGIN, 20, 30, INK, WIDTH - 2 * MARGIN)
    mean = overall(survey.files, measure)
    told = f"{wording.name}{'' if mean is None else f', mean {mean:.2f}'}  ·  "
    told += f"{len(survey.files):,} files, {survey.lines:,} lines, {survey.places:,} places"
    pen.write(told, MARGIN, 66, 17, SOFT)
    ramp = 300
    x = WIDTH - MARGIN - pen.width(wording.high, 15) - 10 - ramp
    for step in range(ramp):
        pen.fill(Box(x + step, 68, 1, 14), bright(step / (ramp - 1)))
    pen.write(wording.low, x - 10 - pen.width(wording.low, 15), 65, 15, INK)
    pen.write(wording.high, x + ramp + 10, 65, 15, INK)
    for tick in range(5):
        text = f"{wording.unknown + (wording.known - wording.unknown) * tick / 4:.2g}"
        pen.write(text, x + ramp * tick / 4 - pen.width(text, 13) / 2, 86, 13, SOFT)


def _folder(pen: _Pen, folder: Folder, box: Box, measure: Measure) -> None:
    pen.fill(box, FRAME, LINE)
    named = box.height >= 2 * HEADER and box.width >= 40
    if named:
        used = pen.write(folder.name, box.x + 7, box.y + 3, 15, INK, box.width - 14)
        pen.write(f"{folder.lines:,} lines", box.x + used + 16, box.y + 5, 13, SOFT, box.width - used - 20)
    inner = box.inside(PADDING if named else 1, HEADER - PADDING if named else 0)
    if not folder.entries or not inner.area:
        return
    for entry, at in zip(folder.entries, squarify([entry.lines for entry in folder.entries], inner), strict=True):
        if isinstance(entry, Folder):
            _folder(pen, entry, at.inside(1, 0), measure)
            continue
        value = entry.value(measure)
        colour = BLANK if value is None else colour_of(value, measure)
        tile = at.inside(0.5, 0) if min(at.width, at.height) > 3 else at
        pen.fill(tile, colour)
        if at.width >= 44 and at.height >= 20:
            ink = ink_on(colour)
            name = printable(entry.path.rpartition("/")[2])
            fits = pen.write(name, at.x + 6, at.y + 3, 13, ink, at.width - 10)
            if fits and value is not None and at.height >= 38:
                pen.write(f"{value:.2f}", at.x + 6, at.y + 19, 13, ink, at.width - 10)
