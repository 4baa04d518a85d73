"""The built-in data set `glyphs`: characters of many scripts, each drawn by twenty hands.

A class is a character, a group is a script. The fonts are those inside matplotlib's wheel, so
nothing is downloaded. A *hand* is a font face with a slant, a shape and a stroke thickness of its
own; every drawing adds a small affine and an elastic warp. A drawing depends on its character, its
hand and its size only. Ink is bright (255) on black paper.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter, ImageFont

from ...spaces import DataConfig
from .alphabets import ALPHABETS
from .array_file import Allocate, in_memory
from .decoded import DecodedSet, Progress, unseen
from .image_set import DataError, ImageSet
from .preprocessing import Preprocessing

VERSION = 1
"""Raise it when a drawing changes: it is part of the name of the cached set."""

NUM_HANDS = 20
LARGEST_SCRIPT = 40

# Neighbours differ in family, so that consecutive hands do.
_FACES = (
    "DejaVuSans",
    "DejaVuSerif",
    "STIXGeneral",
    "DejaVuSansMono",
    "DejaVuSerif-Italic",
    "STIXGeneralBol",
    "DejaVuSans-Oblique",
    "STIXGeneralItalic",
    "DejaVuSans-Bold",
    "STIXGeneralBolIta",
)
_REFERENCE_FACES = ("DejaVuSans", "STIXGeneral")
_UNASSIGNED = "\uffff"
_MEASURE = 48  # font size, pixels, at which characters are measured and compared
_SMALLEST = 10  # longest side at that size, pixels: dots and primes are left out
_COMPARED_SIDE = 32  # of the pictures that are compared, pixels
_LOOKS_ALIKE = 0.92  # cosine of blurred drawings
_OVERSAMPLING = 2  # drawings are made this much larger, then averaged
_CONTROLS = 5  # of the elastic warp, along a side


@dataclass(frozen=True)
class Hand:
    """How one hand draws every character.

    Attributes:
        first_face: Index of its preferred face; the next one that has the character is taken.
        turn: Rotation, radians.
        slant: Horizontal shear.
        stretch: Width over height, as a factor.
        size: Longest side of a character over the side of the image.
        weight: Pixels added to each side of a stroke of a 28-pixel image; may be negative.
        tremble: Standard deviation of the elastic displacement over the side of the image.
    """

    first_face: int
    turn: float
    slant: float
    stretch: float
    size: float
    weight: float
    tremble: float


class GlyphSource:
    """The data set `glyphs` at one image size."""

    def __init__(self, config: DataConfig) -> None:
        """Take size and colour from `config`; nothing is drawn yet."""
        self._config = config

    @property
    def key(self) -> str:
        """Names the version of the drawings."""
        return f"glyphs {VERSION}"

    def decode(self, allocate: Allocate = in_memory, progress: Progress = unseen) -> DecodedSet:
        """Draw every character by every hand."""
        size = self._config.image_size
        preprocessing = Preprocessing(size, self._config.color, invert=True)
        scripts = distinct_characters()
        hands = make_hands()
        characters = [(g, char) for g, script in enumerate(scripts) for char in scripts[script]]
        drawn = []
        for _, character in characters:
            drawn.append(draw(character, hands, size))
            progress(len(drawn) * NUM_HANDS, len(characters) * NUM_HANDS)
        images = np.concatenate(drawn)
        names = tuple(scripts)
        return DecodedSet(
            ImageSet(
                images=np.repeat(images[:, None], preprocessing.channels, axis=1),
                labels=np.repeat(np.arange(len(characters), dtype=np.int64), NUM_HANDS),
                classes=tuple(f"{names[g]}/U+{ord(char):04X}" for g, char in characters),
                groups=names,
                group_of_class=np.array([g for g, _ in characters], dtype=np.int64),
            ),
            preprocessing,
            notes=(),
        )


def make_hands() -> tuple[Hand, ...]:
    """The twenty hands, always the same."""
    hands = []
    for number in range(NUM_HANDS):
        random = np.random.default_rng([VERSION, number])
        hands.append(
            Hand(
                first_face=number % len(_FACES),
                turn=random.uniform(-0.2, 0.2),
                slant=random.uniform(-0.4, 0.4),
                stretch=float(np.exp(random.uniform(-0.35, 0.35))),
                size=random.uniform(0.6, 0.8),
                weight=(-0.5, 0.0, 0.5, 1.0)[number % 4],
                tremble=random.uniform(0.02, 0.045),
            )
        )
    return tuple(hands)


def draw(character: str, hands: Sequence[Hand], image_size: int) -> NDArray[np.uint8]:
    """One drawing of a character by each hand.

    Args:
        character: A single character that at least one face holds.
        hands: How they draw.
        image_size: Side of the result, pixels.

    Returns:
        (len(hands), image_size, image_size) uint8, ink 255 on 0.
    """
    # Dimension letters: B hands, S side of a drawing, K control points along a side, E side of
    # the ink. Points are (x, y) about the centre, as shares of the side.
    random = np.random.default_rng([VERSION, ord(character)])
    count = len(hands)
    axis = np.linspace(-0.5, 0.5, image_size)
    points = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)  # (S*S, 2)
    maps = np.stack([_affine(hand, random) for hand in hands])  # (B, 2, 2)
    tremble = np.array([hand.tremble for hand in hands])[:, None, None, None]
    shifts = tremble * random.standard_normal((count, 2, _CONTROLS, _CONTROLS))
    shifts += 0.03 * random.standard_normal((count, 2, 1, 1))
    basis = _interpolation(image_size)  # (S, K)
    warp = (basis @ shifts @ basis.T).reshape(count, 2, -1)  # (B, 2, S*S)
    places = maps @ points.T + warp  # (B, 2, S*S)
    ink = np.stack([_ink(character, hand, image_size) for hand in hands])  # (B, E, E)
    side = ink.shape[1]
    # The outermost ring of the ink is empty, so what lies outside is clipped to nothing.
    places = np.clip(places * image_size + (side - 1) / 2, 0.0, side - 1.001)
    corner = places.astype(np.intp)
    right, down = np.moveaxis((places - corner).astype(np.float32), 1, 0)
    flat = (np.arange(count)[:, None] * side + corner[:, 1]) * side + corner[:, 0]
    values = ink.ravel()
    above = values[flat] * (1 - right) + values[flat + 1] * right
    below = values[flat + side] * (1 - right) + values[flat + side + 1] * right
    drawn = above * (1 - down) + below * down
    pixels: NDArray[np.uint8] = np.rint(drawn).astype(np.uint8)
    return pixels.reshape(count, image_size, image_size)


def _affine(hand: Hand, random: np.random.Generator) -> NDArray[np.float64]:
    """Places of the drawing to places of the ink, (2, 2): the hand's own, and a little noise."""
    noise = random.standard_normal(3)
    turn = hand.turn + 0.06 * noise[0]
    slant = hand.slant + 0.06 * noise[1]
    stretch = np.sqrt(hand.stretch * np.exp(0.08 * noise[2]))
    rotate = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    shear = np.array([[1.0, slant], [0.0, 1.0]])
    scale = np.diag([1.0 / stretch, stretch])
    return np.asarray(scale @ shear @ rotate)


def _interpolation(image_size: int) -> NDArray[np.float64]:
    """(image_size, controls) weights of Gaussian bumps at the control points, rows sum to 1."""
    pixels = np.linspace(0.0, _CONTROLS - 1, image_size)[:, None]
    weights = np.exp(-((pixels - np.arange(_CONTROLS)) ** 2) / (2 * 0.6**2))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def distinct_characters() -> dict[str, tuple[str, ...]]:
    """The characters of each script that some face holds and that look like no earlier one.

    Characters are compared in a fixed face, scaled to one size, blurred, by the cosine of their
    pixels; Cyrillic and Greek capitals that Latin has too are left out, as are small letters that
    differ from their capital by size alone. At most 40 characters of a script are kept.
    """
    kept: dict[str, tuple[str, ...]] = {}
    seen = np.empty((LARGEST_SCRIPT * len(ALPHABETS), _COMPARED_SIDE**2))
    num_seen = 0
    for script, characters in ALPHABETS.items():
        chosen: list[str] = []
        for character in characters:
            if len(chosen) == LARGEST_SCRIPT:
                break
            picture = _reference_picture(character)
            if picture is None:
                continue
            # Not `@`: its order of summation, and so a close call, depends on the machine.
            cosines = np.einsum("ij,j->i", seen[:num_seen], picture)
            if np.any(cosines >= _LOOKS_ALIKE):
                continue
            seen[num_seen] = picture
            num_seen += 1
            chosen.append(character)
        kept[script] = tuple(chosen)
    return kept


def _reference_picture(character: str) -> NDArray[np.float64] | None:
    """Unit vector of the blurred character; None where no face has it or it is a mere dot."""
    face = next((face for face in _REFERENCE_FACES if _is_in(face, character)), None)
    if face is None:
        return None
    ink = Image.fromarray(_mask(face, _MEASURE, character))
    if max(ink.size) < _SMALLEST:
        return None
    side = _COMPARED_SIDE
    scale = (side - 6) / max(ink.size)
    ink = ink.resize((max(1, round(ink.width * scale)), max(1, round(ink.height * scale))))
    canvas = Image.new("L", (side, side))
    canvas.paste(ink, ((side - ink.width) // 2, (side - ink.height) // 2))
    pixels = np.asarray(canvas.filter(ImageFilter.GaussianBlur(1.2)), dtype=np.float64).ravel()
    return np.asarray(pixels / np.linalg.norm(pixels))


def _ink(character: str, hand: Hand, image_size: int) -> NDArray[np.float32]:
    """The character in the hand's face, size and stroke thickness, in the middle of a square."""
    order = _FACES[hand.first_face :] + _FACES[: hand.first_face]
    face = next(face for face in order if _is_in(face, character))
    side = _OVERSAMPLING * image_size
    font_size = max(1, round(_MEASURE * hand.size * side / _longest_side(face, character)))
    mask = _mask(face, font_size, character)
    height, width = mask.shape
    room = side + 4 * _OVERSAMPLING
    top, left = (room - height) // 2, (room - width) // 2
    ink = np.zeros((room, room), np.uint8)
    ink[top : top + height, left : left + width] = mask
    reach = round(abs(hand.weight) * side / 28)
    if reach and hand.weight > 0:
        thick = _spread(ink, reach, np.maximum)
        # Strokes that run into each other leave a blot: such a character keeps its own.
        if np.count_nonzero(thick) < 0.7 * width * height:
            ink = thick
    elif reach:
        thin = _spread(ink, reach, np.minimum)
        # Hairlines would vanish.
        if np.sum(thin, dtype=np.int64) > 0.5 * np.sum(ink, dtype=np.int64):
            ink = thin
    half = room // _OVERSAMPLING
    blocks = ink.reshape(half, _OVERSAMPLING, half, _OVERSAMPLING)
    return np.asarray(blocks.mean((1, 3), dtype=np.float32))


def _spread(ink: NDArray[np.uint8], reach: int, pick: np.ufunc) -> NDArray[np.uint8]:
    """Each value becomes the greatest (or least) within `reach` pixels along either axis."""
    result = ink.copy()
    for _ in range(reach):
        result[1:-1] = pick(pick(result[:-2], result[1:-1]), result[2:])
        result[:, 1:-1] = pick(pick(result[:, :-2], result[:, 1:-1]), result[:, 2:])
    return result


@cache
def _font_folder() -> Path:
    spec = find_spec("matplotlib")  # found, not imported: that takes a third of a second
    if spec is None or spec.origin is None:
        raise DataError(
            "data.name=glyphs draws with the fonts inside matplotlib, which is not installed; "
            "run `pip install matplotlib`"
        )
    return Path(spec.origin).parent / "mpl-data" / "fonts" / "ttf"


@cache
def _font(face: str, size: int) -> ImageFont.FreeTypeFont:
    path = _font_folder() / f"{face}.ttf"
    try:
        # The basic layout draws isolated letters and needs no optional library.
        return ImageFont.truetype(path, size, layout_engine=ImageFont.Layout.BASIC)
    except OSError as error:
        raise DataError(
            f"data.name=glyphs needs the font {path}, which cannot be read ({error}); "
            "reinstall matplotlib"
        ) from error


def _mask(face: str, size: int, character: str) -> NDArray[np.uint8]:
    """The character alone, cropped to its ink, (height, width); no pixels for a space."""
    core = _font(face, size).getmask(character, mode="L")
    width, height = core.size
    return np.frombuffer(bytes(core), np.uint8).reshape(height, width)


@cache
def _longest_side(face: str, character: str) -> int:
    height, width = _mask(face, _MEASURE, character).shape
    return int(max(height, width))


@cache
def _missing(face: str) -> NDArray[np.uint8]:
    """What the face draws for a character that it does not hold."""
    return _mask(face, _MEASURE, _UNASSIGNED)


@cache
def _is_in(face: str, character: str) -> bool:
    """Whether the face holds the character and draws something for it."""
    mask = _mask(face, _MEASURE, character)
    return bool(mask.size) and not np.array_equal(mask, _missing(face))
