from __future__ import annotations

import base64
import zlib
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from cryptography.fernet import Fernet
from hypothesis import given
from hypothesis import strategies as st

from media_app.details import LEFT_OUT
from media_app.record import Record, RecordError, decode, encode
from media_app.storage.base import MAX_METADATA

ID = UUID("3fa9c1d2-e4b7-5000-8000-000000000000")
SHA256 = "a" * 64
RECORD = Record(
    source="meta",
    account="106540352242922",
    provider_media_id="1234567890",
    provider_message_id="wamid.HBgL",
    position=0,
    owner="whatsapp:+14335551212",
    occurred_at=1716120082.5,
    time_assumed=False,
    announced_at=1716120083.25,
    announced_type="image/jpeg",
    filename="Küche.jpg",
    url="https://lookaside.fbsbx.com/x",
    size=12345,
    content_type="image/jpeg",
    type_differs=False,
)
OLD, NEW = Fernet.generate_key().decode(), Fernet.generate_key().decode()


def encoded(record: Record = RECORD, keys: tuple[str, ...] = ()) -> dict[str, str]:
    return encode(record, id=ID, sha256=SHA256, keys=keys)


@pytest.mark.parametrize("keys", [(), (OLD,), (NEW, OLD)])
def test_a_record_reads_back(keys: tuple[str, ...]) -> None:
    assert decode(encoded(keys=keys), keys=keys) == RECORD


def test_id_and_digest_are_readable_for_all() -> None:
    metadata = encoded(keys=(NEW,))
    assert (metadata["media-id"], metadata["sha256"]) == (str(ID), SHA256)


def test_without_keys_any_tool_reads_the_record() -> None:
    version, _, packed = encoded()["record"].partition(".")
    assert version == "b1"
    assert b"14335551212" in zlib.decompress(base64.urlsafe_b64decode(packed))


def test_with_keys_nobody_else_reads_the_record() -> None:
    version, _, packed = encoded(keys=(NEW,))["record"].partition(".")
    assert version == "f1"
    with pytest.raises(zlib.error):
        zlib.decompress(base64.urlsafe_b64decode(packed))


def test_a_key_is_replaced_without_rewriting_the_bucket() -> None:
    before = encoded(keys=(OLD,))
    assert decode(before, keys=(NEW, OLD)) == RECORD
    with pytest.raises(RecordError):
        decode(encoded(keys=(NEW, OLD)), keys=(OLD,))


def test_what_was_kept_without_keys_is_read_when_there_are_some() -> None:
    assert decode(encoded(), keys=(NEW,)) == RECORD


@pytest.mark.parametrize(
    "metadata",
    [
        {},
        {"record": ""},
        {"record": "c3.abc"},
        {"record": "b1."},
        {"record": "b1.é"},
        {"record": "b1.!!!!"},
        {"record": "f1.é"},
        {"record": "f1.abc"},
        *(
            {"record": "b1." + base64.urlsafe_b64encode(zlib.compress(text)).decode()}
            for text in (b"[]", b"{}", b"1")
        ),
        {
            "record": "b1."
            + base64.urlsafe_b64encode(zlib.compress(b"[" * 100_000)).decode()
        },
        {"record": "b1." + base64.urlsafe_b64encode(zlib.compress(b"\xff")).decode()},
        encoded(keys=(OLD,)),
    ],
)
def test_what_is_no_record_of_ours_is_a_record_error(metadata: dict[str, str]) -> None:
    with pytest.raises(RecordError):
        decode(metadata, keys=(NEW,))


def test_an_encrypted_record_without_keys_says_what_is_missing() -> None:
    with pytest.raises(RecordError, match="MEDIA_METADATA_KEYS"):
        decode(encoded(keys=(NEW,)), keys=())


# Too random to be deflated.
NOISE = "".join(chr(0x4E00 + n * 7919 % 20000) for n in range(4000))


@pytest.mark.parametrize("keys", [(), (NEW,)])
def test_a_long_link_goes_before_a_name_and_a_name_before_an_id(
    keys: tuple[str, ...],
) -> None:
    long_link = decode(encoded(replace(RECORD, url=NOISE), keys), keys=keys)
    assert (long_link.url, long_link.filename) == ("", RECORD.filename)
    long_name = decode(encoded(replace(RECORD, filename=NOISE), keys), keys=keys)
    assert (long_name.filename, long_name.provider_message_id) == (
        "",
        RECORD.provider_message_id,
    )


def test_details_go_one_by_one_the_longest_first() -> None:
    details = {"persona": "Ana", "prompt": NOISE, "story": NOISE[1:], "seed": "7"}
    read = decode(encoded(replace(RECORD, details=details)), keys=())
    assert read.details == {
        "persona": "Ana",
        "seed": "7",
        LEFT_OUT: "prompt, story",
    }
    assert read.filename == RECORD.filename


def test_more_details_than_names_have_room_are_counted() -> None:
    details = {f"{number:064}": NOISE[number * 40 :][:40] for number in range(100)}
    read = decode(encoded(replace(RECORD, details=details)), keys=())
    assert read.details[LEFT_OUT] == f"{101 - len(read.details)} details"


def test_a_file_without_details_has_the_record_of_earlier_versions() -> None:
    _, _, packed = encoded()["record"].partition(".")
    assert b"details" not in zlib.decompress(base64.urlsafe_b64decode(packed))


# All but halves of characters.
signs = st.characters(codec="utf-8")
texts = st.text(signs, max_size=255)


@given(
    filename=texts,
    url=st.text(max_size=4000),
    owner=st.text(signs, max_size=200),
    provider_media_id=st.one_of(texts, st.just(NOISE)),
    provider_message_id=st.one_of(texts, st.just(NOISE)),
    account=st.one_of(texts, st.just(NOISE)),
    announced_type=st.one_of(st.just("image/jpeg"), st.just(NOISE[:200])),
    details=st.dictionaries(texts, texts, max_size=5),
    keys=st.sampled_from([(), (NEW,)]),
)
def test_metadata_is_ascii_and_short_whatever_strangers_wrote(
    keys: tuple[str, ...], **words: Any
) -> None:
    record = replace(RECORD, **words)
    metadata = encoded(record, keys)
    assert (
        sum(len(name) + len(value) for name, value in metadata.items()) <= MAX_METADATA
    )
    assert all(value.isascii() and value.isprintable() for value in metadata.values())
    assert metadata["record"].startswith("f1." if keys else "b1.")
    read = decode(metadata, keys=keys)
    assert (read.owner, read.size, read.occurred_at) == (
        record.owner,
        record.size,
        record.occurred_at,
    )
