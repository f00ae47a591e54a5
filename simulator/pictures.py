"""Pictures drawn from a number: each seed gives another landscape, with the seed written on it."""

from __future__ import annotations

import colorsys
import math
from functools import lru_cache
from io import BytesIO
from random import Random

from PIL import ExifTags, Image, ImageDraw, ImageFont, ImageOps

Color = tuple[int, int, int]

_PHOTO_SIZES = ((800, 600), (800, 600), (600, 800), (960, 540), (720, 720))
_SCREENSHOT_SIZE = (360, 640)
_STICKER_SIZE = (512, 512)


def jpeg_photo(seed: int) -> bytes:
    """A JPEG landscape; one in four lies on its side and says so in its EXIF orientation."""
    random = Random(seed)
    picture = landscape(random, random.choice(_PHOTO_SIZES), str(seed))
    exif = Image.Exif()
    if random.random() < 0.25:
        # 6: "turn me clockwise to look at me", as a phone held upright writes it.
        exif[ExifTags.Base.Orientation] = 6
        picture = picture.transpose(Image.Transpose.ROTATE_90)
    return _saved(picture, "JPEG", quality=85, exif=exif)


def png_screenshot(seed: int) -> bytes:
    """A PNG as screenshots are: upright and flat-coloured."""
    random = Random(seed)
    width, height = _SCREENSHOT_SIZE
    picture = Image.new("RGB", _SCREENSHOT_SIZE, _color(random.random(), 0.95, 0.3))
    draw = ImageDraw.Draw(picture)
    for top in range(40, height - 140, 60):
        left = random.choice((16, 96))
        box = (left, top, left + random.randrange(120, 240), top + 44)
        draw.rounded_rectangle(box, 12, fill=_color(random.random(), 0.8, 0.4))
    _write_label(draw, (width // 2, height - 60), str(seed), 48, (60, 60, 60))
    return _saved(picture, "PNG", compress_level=1)


def webp_sticker(seed: int) -> bytes:
    """A WebP face on a transparent ground, 512 × 512 as WhatsApp asks."""
    random = Random(seed)
    picture = Image.new("RGBA", _STICKER_SIZE)
    draw = ImageDraw.Draw(picture)
    draw.ellipse((24, 24, 488, 488), fill=_color(random.random(), 0.65, 0.9))
    for x in (180, 332):
        draw.ellipse(
            (x - 30, 150, x + 30, 150 + random.randrange(40, 90)), fill=(40, 40, 40)
        )
    draw.arc(
        (150, 200, 362, 330 + random.randrange(40)),
        20,
        160,
        fill=(40, 40, 40),
        width=16,
    )
    _write_label(draw, (256, 410), str(seed), 48, (255, 255, 255))
    return _saved(picture, "WEBP", quality=70, method=0)


def landscape(random: Random, size: tuple[int, int], label: str) -> Image.Image:
    """Sky, sun and hills, in colours and shapes of their own."""
    width, height = size
    hue = random.random()
    # One column, coloured and then drawn out: five times as fast as colouring every pixel.
    column = Image.linear_gradient("L").crop((0, 0, 1, 256))
    sky = ImageOps.colorize(
        column, black=_color(hue, 0.45, 0.7), white=_color(hue + 0.12, 0.85, 0.9)
    )
    picture = sky.resize(size, Image.Resampling.NEAREST)
    draw = ImageDraw.Draw(picture)
    x, y, radius = (
        random.randrange(width),
        random.randrange(height // 2),
        height // random.randrange(6, 14),
    )
    draw.ellipse(
        (x - radius, y - radius, x + radius, y + radius),
        fill=_color(hue + 0.3, 0.85, 1.0),
    )
    for layer in range(3):
        shade = _color(hue + 0.5, 0.5 - 0.13 * layer, 0.45)
        draw.polygon(
            _hill(random, size, base=height * (0.55 + 0.13 * layer)), fill=shade
        )
    _write_label(
        draw, (width // 2, height - height // 8), label, height // 8, (255, 255, 255)
    )
    return picture


def _hill(
    random: Random, size: tuple[int, int], base: float
) -> list[tuple[float, float]]:
    width, height = size
    waves, phase = random.uniform(0.7, 2.5), random.uniform(0, math.tau)
    steps = range(0, width + 1, max(1, width // 40))
    ridge = [
        (x, base + height * 0.08 * math.sin(phase + math.tau * waves * x / width))
        for x in steps
    ]
    return [(0, height), *ridge, (width, height)]


def _color(hue: float, lightness: float, saturation: float) -> Color:
    red, green, blue = colorsys.hls_to_rgb(hue % 1.0, lightness, saturation)
    return round(red * 255), round(green * 255), round(blue * 255)


@lru_cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _write_label(
    draw: ImageDraw.ImageDraw, at: tuple[int, int], text: str, size: int, color: Color
) -> None:
    draw.text(at, text, font=_font(size), fill=color, anchor="mm")


def _saved(picture: Image.Image, format: str, **options: object) -> bytes:
    buffer = BytesIO()
    picture.save(buffer, format, **options)
    return buffer.getvalue()
