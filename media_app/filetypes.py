"""File types: their extensions, what bytes really are, and what a browser may show."""

from __future__ import annotations

import re
from mimetypes import MimeTypes

import filetype

UNKNOWN = "application/octet-stream"

# The extension of an object's key. It tells people what to expect and is never trusted.
_EXTENSIONS = {
    "image/jpeg": "jpeg",
    "image/png": "png",
    "image/webp": "webp",
    "image/gif": "gif",
    "image/heic": "heic",
    "image/heif": "heif",
    "image/avif": "avif",
    "image/tiff": "tiff",
    "image/bmp": "bmp",
    "image/svg+xml": "svg",
    "video/mp4": "mp4",
    "video/3gpp": "3gp",
    "video/quicktime": "mov",
    "video/webm": "webm",
    "audio/ogg": "ogg",
    "audio/opus": "opus",
    "audio/mpeg": "mp3",
    "audio/mp4": "m4a",
    "audio/x-m4a": "m4a",
    "audio/aac": "aac",
    "audio/amr": "amr",
    "audio/wav": "wav",
    "audio/x-wav": "wav",
    "application/pdf": "pdf",
    "application/zip": "zip",
    "application/json": "json",
    "application/rtf": "rtf",
    "application/msword": "doc",
    "application/vnd.ms-excel": "xls",
    "application/vnd.ms-powerpoint": "ppt",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": "pptx",
    "application/vnd.oasis.opendocument.text": "odt",
    "application/vnd.oasis.opendocument.spreadsheet": "ods",
    "application/vnd.android.package-archive": "apk",
    "text/plain": "txt",
    "text/csv": "csv",
    "text/html": "html",
    "text/vcard": "vcf",
    "text/x-vcard": "vcf",
}

# One container, several names: where the bytes are the first, the announced second is believed.
_SAME_CONTAINER = {
    "video/mp4": {
        "audio/mp4",
        "video/3gpp",
        "video/quicktime",
        "audio/x-m4a",
        "audio/3gpp",
        "audio/aac",
    },
    "audio/mp4": {"audio/x-m4a", "audio/m4a", "video/mp4", "audio/aac"},
    "audio/ogg": {"audio/opus", "application/ogg"},
    "audio/x-wav": {"audio/wav", "audio/wave"},
    "application/zip": {
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "application/vnd.openxmlformats-officedocument.presentationml.presentation",
        "application/vnd.oasis.opendocument.text",
        "application/vnd.oasis.opendocument.spreadsheet",
        "application/vnd.android.package-archive",
    },
}

# Python's own table, without the machine's.
_KNOWN_ENDINGS = MimeTypes()
# Endings of text of which the bytes say nothing, and which no machine runs.
_TEXT_ENDINGS = frozenset(
    {
        "txt",
        "text",
        "md",
        "rst",
        "log",
        "csv",
        "tsv",
        "vcf",
        "ics",
        "srt",
        "vtt",
        "json",
        "yaml",
        "yml",
    }
)

# Types that a browser shows without running anything. Everything else is a download.
INLINE = frozenset(
    {
        "image/jpeg",
        "image/png",
        "image/webp",
        "image/gif",
        "video/mp4",
        "video/3gpp",
        "audio/ogg",
        "audio/aac",
        "audio/amr",
        "audio/mp4",
        "audio/mpeg",
    }
)

# Types that a page may run or be styled by, once somebody has got an address of ours into it.
_ACTIVE = re.compile(r"script|html|[/+]xml|css|wasm")

# How much of a file's beginning the sniffing looks at.
HEAD = 8192

# The names of RFC 6838 §4.2. What a stranger announces may be anything, and becomes a header.
_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,62}/[a-z0-9][a-z0-9!#$&^_.+-]{0,126}")
_MEANT = {"image/jpg": "image/jpeg", "audio/mp3": "audio/mpeg"}

# Possessive throughout: strangers write these bytes, and could make backtracking take very long.
_START = rb"(?:\xef\xbb\xbf)?+\s*+"
_MARKUP = re.compile(
    _START + rb"<(?:!doctype html|html|head|body|script|title)\b", re.IGNORECASE
)
_SVG = re.compile(
    _START
    + rb"(?:<\?xml[^>]*+>\s*+)?+(?:<!--.*?-->\s*+)*+(?:<!doctype svg[^>]*+>\s*+)?+<svg\b",
    re.IGNORECASE | re.DOTALL,
)
_XML = re.compile(_START + rb"<\?xml\b", re.IGNORECASE)
_JSON = re.compile(_START + rb"[\[{]\s*+[\"\]}\[{0-9tfn-]")


def base_type(content_type: str) -> str:
    """The type without parameters, in lower case: ``audio/ogg; codecs=opus`` is ``audio/ogg``; ""
    for an invalid one.
    """
    base = content_type.partition(";")[0].strip().lower()
    if not _TYPE.fullmatch(base):
        return ""
    return _MEANT.get(base, base)


def extension_for(content_type: str) -> str:
    """The key's extension for an announced type; ``bin`` where the table has none."""
    return _EXTENSIONS.get(base_type(content_type), "bin")


def saved_as(filename: str, content_type: str) -> str:
    """The name under which a viewer saves a file: with an ending of what it is, whatever its sender
    called it.

    ``content_type`` is the decided one. "" stays "".

    >>> saved_as("invoice.exe", "application/pdf"), saved_as("kitchen.jpg", "image/jpeg")
    ('invoice.pdf', 'kitchen.jpg')
    """
    stem, dot, ending = filename.rpartition(".")
    named: set[str] = set()
    if dot:
        named = _types_of(ending)
    if not filename or _fits(ending.lower(), named, content_type):
        return filename
    if named:
        # The ending is of another type: it is replaced.
        filename = stem
    return f"{filename}.{extension_for(content_type)}"


def _fits(ending: str, named: set[str], content_type: str) -> bool:
    """Whether a file of this type may have an ending, which names these types."""
    if content_type == "text/plain":
        return ending in _TEXT_ENDINGS
    if content_type in named or named & _SAME_CONTAINER.get(content_type, set()):
        return True
    if content_type in _EXTENSIONS:
        return False
    # Any ending but one whose type the bytes would have shown, or that a browser would run.
    return ending in _TEXT_ENDINGS or not any(
        each in _EXTENSIONS or _ACTIVE.search(each) for each in named
    )


def _types_of(ending: str) -> set[str]:
    types = {
        type for type, extension in _EXTENSIONS.items() if extension == ending.lower()
    }
    guessed, _ = _KNOWN_ENDINGS.guess_type(f"name.{ending}")
    if guessed is not None:
        types.add(guessed)
    return types


def sniff(head: bytes) -> str:
    """What the first bytes say the file is, or "" (plain text, for one, says nothing)."""
    if kind := filetype.guess(head):
        mime: str = kind.mime
        return mime
    if _MARKUP.match(head):
        return "text/html"
    if _SVG.match(head):
        return "image/svg+xml"
    if _XML.match(head):
        return "application/xml"
    if _JSON.match(head):
        return "application/json"
    return ""


def decide_type(announced: str, sniffed: str) -> tuple[str, bool]:
    """The type to keep for a file, and whether it differs from the announced one.

    Where the bytes say nothing, the announced type stands, unless it is one that bytes
    do speak of: a JPEG that does not look like one is not served as one.
    """
    announced = base_type(announced)
    if announced in ("", UNKNOWN):
        return sniffed or UNKNOWN, False
    if sniffed == announced or announced in _SAME_CONTAINER.get(sniffed, ()):
        return announced, False
    if sniffed:
        return sniffed, True
    family = announced.partition("/")[0]
    if announced in INLINE or family in {"image", "video", "audio"}:
        return UNKNOWN, True
    return announced, False


def served_as(content_type: str) -> str:
    """The Content-Type for browsers: none that they would run, wherever it is embedded."""
    return UNKNOWN if _ACTIVE.search(content_type) else content_type


def looks_like_an_error_page(sniffed: str, announced: str) -> bool:
    """Whether the bytes are an error page in place of the file: HTML or JSON that was not
    announced.
    """
    is_page = sniffed in {"text/html", "application/json"}
    return is_page and base_type(announced) not in {sniffed, "text/plain"}
