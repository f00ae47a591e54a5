"""The names that files are saved under, when strangers chose them."""

from __future__ import annotations

import pytest

from media_app.responses.disposition import content_disposition, harmless


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("kitchen 1.jpeg", "kitchen 1.jpeg"),
        ("../../etc/passwd", "etcpasswd"),
        ("C:\\a.jpeg", "C:a.jpeg"),
        ("a\r\nb\u202e.jpeg", "ab.jpeg"),
        (".jpeg ", "jpeg"),
        (" . /", ""),
        # Cut before its ending, unless that is no ending.
        ("x" * 200 + ".tar.gz", "x" * 147 + ".gz"),
        ("x" * 100 + "." + "y" * 75, "x" * 74 + "." + "y" * 75),
        ("x" * 100 + "." + "y" * 76, "x" * 100 + "." + "y" * 49),
    ],
)
def test_a_name_is_harmless(name: str, kept: str) -> None:
    assert harmless(name) == kept


@pytest.mark.parametrize(
    ("name", "attachment", "header"),
    [
        ("a.jpeg", False, 'inline; filename="a.jpeg"'),
        ("a.jpeg", True, 'attachment; filename="a.jpeg"'),
        ("ü.jpeg", False, "inline; filename*=utf-8''%C3%BC.jpeg"),
        ("/", False, 'inline; filename="file"'),
    ],
)
def test_the_header_names_it(name: str, attachment: bool, header: str) -> None:
    said = content_disposition(name, attachment=attachment, otherwise="file")
    assert said == header
