"""What ``bench.imports`` imports: lines with pictures, some of them broken, and a folder."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from io import BytesIO
from pathlib import Path

from PIL import ExifTags, Image, ImageDraw

OWNER = "whatsapp:+14335551212"
FIRST = datetime(2009, 3, 1, 12, tzinfo=UTC)
BROKEN = (
    '{"image": "',
    "[]",
    "{}",
    '{"image": ""}',
    '{"image": "???"}',
    '{"image": "QUJD"}',
    '{"image": "data:image/png;base64,QUJD"}',
    '{"image": "{image}", "phone": "Ana"}',
    '{"image": "{image}", "timestamp": "soon"}',
    '{"image": 7}',
)
NAMES = ("Zoë.jpg", "IMG_0001.jpg", "кухня.jpg", "台所 🍳.jpg", 'a\' "b".jpg')
ALBUM = 100
WIDTH = 160


@dataclass
class Source:
    """What is imported, and what has to be there after it: times by digest."""

    path: Path
    options: tuple[str, ...]
    times: dict[str, int] = field(default_factory=dict)
    broken: set[int] = field(default_factory=set)

    def add(self, body: bytes, at: datetime) -> None:
        self.times[sha256(body).hexdigest()] = int(at.timestamp())


def _picture(number: int, kind: str, at: datetime | None = None) -> bytes:
    """A picture that shows its number; ``at`` is what its camera says."""
    image = Image.new("RGB", (WIDTH, 120), (number % 256, number // 256 % 256, 160))
    ImageDraw.Draw(image).text((20, 50), f"picture {number}", fill="white")
    exif = Image.Exif()
    if at is not None:
        tag = ExifTags.Base.DateTimeOriginal
        exif.get_ifd(ExifTags.IFD.Exif)[tag] = at.strftime("%Y:%m:%d %H:%M:%S")
    file = BytesIO()
    image.save(file, kind, exif=exif)
    return file.getvalue()


def lines(directory: Path, number: int) -> Source:
    source = Source(directory / "export.jsonl", ("--format", "jsonl", "--owner", OWNER))
    step = number // len(BROKEN)
    with source.path.open("w", encoding="utf-8-sig") as file:
        for each in range(number):
            kind = ("JPEG", "PNG", "WEBP")[each % 3]
            body, at = _picture(each, kind), FIRST + timedelta(hours=each)
            text = base64.b64encode(body).decode()
            if each % step == step // 2 and len(source.broken) < len(BROKEN):
                line = BROKEN[len(source.broken)].replace("{image}", text)
                source.broken.add(each + 1)
            else:
                source.add(body, at)
                if each % 2:
                    text = f"data:image/{kind.lower()};base64,{text}"
                line = json.dumps(
                    {
                        "id": each,
                        "image": text,
                        "created_at": at.isoformat(),
                        "persona": "Zoë",
                        "prompt": f"a kitchen, number {each}",
                        "provider": "a model",
                    },
                    ensure_ascii=False,
                )
            file.write(f"{line}\n")
    return source


def folder(directory: Path, number: int) -> Source:
    options = ("--format", "folder", "--owner", OWNER, "--pattern", "{album}/**")
    source = Source(directory / "albums", options)
    for each in range(number):
        at = FIRST + timedelta(days=400, minutes=each)
        album = source.path / f"Álbum {each // ALBUM}" / str(each % ALBUM // len(NAMES))
        album.mkdir(parents=True, exist_ok=True)
        body = _picture(each, "JPEG", at)
        (album / NAMES[each % len(NAMES)]).write_bytes(body)
        source.add(body, at)
    return source
