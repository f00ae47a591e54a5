from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import NAMESPACE_URL, UUID, uuid5

import pytest

from media_app import identity

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def test_ids_are_those_that_the_outside_computes() -> None:
    namespace = uuid5(NAMESPACE_URL, "mediahub")
    assert identity.media_id(
        source="meta", account="1065", provider_media_id="77"
    ) == uuid5(namespace, "meta|1065|77")
    assert identity.media_id(
        source="twilio", account="AC1", provider_message_id="MM1", position=2
    ) == uuid5(namespace, "twilio|AC1|MM1|2")
    assert identity.media_id(
        source="twilio", account="AC1", provider_message_id="50%|MM1"
    ) == uuid5(namespace, "twilio|AC1|50%25%7CMM1|0")


def test_parts_cannot_run_into_each_other() -> None:
    assert identity.computed_id("a|b", "c") != identity.computed_id("a", "b|c")
    assert identity.computed_id("a%7Cb") != identity.computed_id("a|b")


def test_a_file_without_any_id_is_an_error() -> None:
    with pytest.raises(ValueError, match="media id"):
        identity.media_id(source="meta", account="1065")


@pytest.mark.parametrize(
    ("address", "owner"),
    [
        ("14335551212", "whatsapp:+14335551212"),
        ("+14335551212", "whatsapp:+14335551212"),
        ("whatsapp:+14335551212", "whatsapp:+14335551212"),
        (
            "whatsapp: 14335551212",
            "whatsapp:+14335551212",
        ),  # a "+" that was not encoded
        ("１４３３５５５１２１２", "whatsapp:+14335551212"),
        ("US.13491208655302741918", "whatsapp:US.13491208655302741918"),
        ("whatsapp:US.1234", "whatsapp:US.1234"),
        ("US.ENT.11815799212886844830", "whatsapp:US.ENT.11815799212886844830"),
        ("", None),
        ("0123456789", None),
        ("123456", None),
        ("1234567890123456", None),
        ("US./../etc", None),
        ("US." + "9" * 200, None),
        ("١٢٣٤٥٦٧٨٩٠", None),
        ("tel:+14335551212", None),
        # Twilio's other channels.
        ("sms:+14335551212", "sms:+14335551212"),
        ("sms: 14335551212", "sms:+14335551212"),
        ("sms:72345", "sms:72345"),
        ("sms:US.1234", None),
        ("rcs:+14335551212", "rcs:+14335551212"),
        ("rcs:14335551212", "rcs:+14335551212"),
        ("rcs:brand_agent", "rcs:brand_agent"),
        ("messenger:14335551212", "messenger:14335551212"),
        ("messenger:+14335551212", None),
        ("messenger:../x", None),
        ("messenger:" + "9" * 161, None),
        ("sms:whatsapp:+14335551212", None),
        ("sms:", None),
    ],
)
def test_an_address_has_one_canonical_owner(address: str, owner: str | None) -> None:
    assert identity.owner_of(address) == owner


def test_an_address_without_a_scheme_has_its_provider_s() -> None:
    assert identity.owner_of("+14335551212", "sms") == "sms:+14335551212"
    assert identity.owner_of("whatsapp:+14335551212", "sms") == "whatsapp:+14335551212"


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        ("whatsapp:+14335551212", "+14335551212"),
        ("whatsapp:US.1234", "US.1234"),
        ("sms:+14335551212", "SMS +14335551212"),
        ("rcs:+14335551212", "RCS +14335551212"),
        ("messenger:4815162342", "Messenger 4815162342"),
        (identity.UNKNOWN_OWNER, "unknown sender"),
        ("", ""),
    ],
)
def test_an_owner_is_shown_with_its_channel(owner: str, name: str) -> None:
    assert identity.owner_name(owner) == name


@pytest.mark.parametrize(
    "owner",
    ["sms:+14335551212", "sms:72345", "rcs:+14335551212", "messenger:4815162342"],
)
def test_a_key_of_another_channel_reads_back(owner: str) -> None:
    key = identity.media_key(
        owner=owner, occurred_at=NOW, index=0, id=UUID(int=1), extension="jpeg"
    )
    read = identity.parse_key(key)
    assert read is not None
    assert read.owner == owner


@pytest.mark.parametrize(
    ("timestamp", "expected"),
    [
        ("1795176000", (datetime.fromtimestamp(1795176000, UTC), False)),
        (1795176000, (datetime.fromtimestamp(1795176000, UTC), False)),
        ("1795176000000", (datetime.fromtimestamp(1795176000, UTC), False)),
        (str(int((NOW - timedelta(days=31)).timestamp())), (NOW, True)),
        (str(int((NOW + timedelta(days=2)).timestamp())), (NOW, True)),
        (
            str(int((NOW - timedelta(days=29)).timestamp())),
            (NOW - timedelta(days=29), False),
        ),
        (None, (NOW, True)),
        ("", (NOW, True)),
        ("soon", (NOW, True)),
        ("-5", (NOW, True)),
        ("9" * 5000, (NOW, True)),
        ("999999999999999", (NOW, True)),
        ("999999999999", (NOW, True)),
    ],
)
def test_an_unbelievable_time_gives_way_to_the_receipts(
    timestamp: str | int | None, expected: tuple[datetime, bool]
) -> None:
    assert identity.occurred_at(timestamp, NOW) == expected


def test_a_key_reads_as_the_contract_says_and_reads_back() -> None:
    id = UUID("3fa9c1d2-e4b7-5000-8000-000000000000")
    key = identity.media_key(
        owner="whatsapp:+14335551212",
        occurred_at=datetime.fromtimestamp(1716120082, UTC),
        index=0,
        id=id,
        extension="jpeg",
    )
    assert key == "whatsapp:+14335551212/1716120082-0-3fa9c1d2e4b7.jpeg"
    read = identity.parse_key(key)
    assert read is not None
    assert (read.owner, read.timestamp, read.index, read.extension) == (
        "whatsapp:+14335551212",
        1716120082,
        0,
        "jpeg",
    )
    assert read.names(id)
    assert not read.names(UUID(int=1))


@pytest.mark.parametrize(
    "key",
    [
        "",
        "a/b",
        "tel:+1/1-0-3fa9c1d2e4b7.jpeg",
        "whatsapp:+1433/1-0.jpeg",
        "previews/whatsapp:+1/1-0-3fa9c1d2e4b7.jpeg/320.webp",
    ],
)
def test_other_peoples_keys_are_not_ours(key: str) -> None:
    assert identity.parse_key(key) is None


def test_the_prefix_of_an_owner_is_not_the_beginning_of_another() -> None:
    assert not "whatsapp:+14335551212/x".startswith(
        identity.owner_prefix("whatsapp:+1433")
    )
