"""Whatever readers ask of a stored file, they get bytes of it, in the place that the answer
says.
"""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from media_app.models import Media
from tests.media.browser import Browser, url
from tests.media.files import Stored
from tests.media.test_ranges import headers as ranges

pytestmark = pytest.mark.django_db

BODY = bytes(range(250)) * 4
TAG = '"' + "0" * 64 + '"'

small = st.integers(-5, 1010)
near = st.one_of(
    st.tuples(small, small).map(lambda pair: f"bytes={pair[0]}-{pair[1]}"),
    small.map(lambda first: f"bytes={first}-"),
    small.map(lambda last: f"bytes=-{last}"),
)
tags = st.one_of(
    st.sampled_from([TAG, f"W/{TAG}", "*", '"other"', f'"other", {TAG}', '"', ""]),
    st.text(max_size=20),
)
dates = st.one_of(
    st.datetimes().map(lambda when: when.strftime("%a, %d %b %Y %H:%M:%S GMT")),
    st.sampled_from(
        [
            "Thu, 01 Jan 1970 00:00:00 GMT",
            "Fri, 31 Dec 9999 23:59:59 GMT",
            "Sun Nov  6 08:49:37 1994",
            "0",
        ]
    ),
    st.text(max_size=20),
)
conditions = st.fixed_dictionaries(
    {},
    optional={
        "Range": st.one_of(near, near, ranges),
        "If-Range": st.one_of(tags, dates),
        "If-Match": tags,
        "If-None-Match": tags,
        "If-Modified-Since": dates,
        "If-Unmodified-Since": dates,
    },
)


def is_right(method: str, response: Any) -> bool:
    """Whether status, Content-Range, Content-Length and body say one and the same."""
    body, length = response.body, response.get("Content-Length")
    match response.status_code:
        case 200:
            return (
                body == (BODY if method == "GET" else b"")
                and length == "1000"
                and "Content-Range" not in response
            )
        case 206:
            found = re.fullmatch(
                r"bytes ([0-9]+)-([0-9]+)/1000", response["Content-Range"]
            )
            assert found is not None and method == "GET"
            first, last = int(found[1]), int(found[2])
            return (
                first <= last < 1000
                and body == BODY[first : last + 1]
                and length == str(len(body))
            )
        case 304 | 412:
            return not body
        case 416:
            return response["Content-Range"] == "bytes */1000" and not body
    return False


@settings(
    max_examples=400,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(method=st.sampled_from(["GET", "GET", "GET", "HEAD"]), asked=conditions)
def test_no_request_gets_a_wrong_byte(
    viewer: Browser, stored: Stored, method: str, asked: dict[str, str]
) -> None:
    media = Media.objects.first() or stored(BODY)
    response = viewer.generic(method, url(media), headers=asked)
    assert is_right(method, response), (response.status_code, response.headers)
