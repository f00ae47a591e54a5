"""What providers sent, formatted. It is shown as text, never interpreted."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl

from django.utils.html import format_html

# Browsers are slow with more.
MAX_SHOWN = 200_000


def as_text(text: str) -> str:
    """Preformatted and escaped; the rest of very long texts is only counted."""
    shown = format_html('<pre class="raw" tabindex="0">{}</pre>', text[:MAX_SHOWN])
    if len(text) <= MAX_SHOWN:
        return shown
    return format_html(
        "{}<p>… and {} more characters.</p>", shown, f"{len(text) - MAX_SHOWN:,}"
    )


def pretty_json(value: Any) -> str:
    """Indented JSON. Lone surrogates, which UTF-8 can't encode, are shown as escapes."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    return text.encode("utf-8", "backslashreplace").decode()


def pretty_body(body: bytes, content_type: str) -> str:
    """A request's body: JSON indented, a form one field a line, anything else as it is."""
    text = body.decode("utf-8", "backslashreplace")
    if content_type.startswith("application/x-www-form-urlencoded"):
        fields = parse_qsl(text, keep_blank_values=True, errors="backslashreplace")
        return "\n".join(f"{name}: {value}" for name, value in fields) or text
    try:
        return pretty_json(json.loads(text))
    except (ValueError, RecursionError):
        return text
