"""Twilio's list of an account's messages, and of a message's files.

https://www.twilio.com/docs/messaging/api/message-resource#fetch-message-resources
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from typing import Any
from urllib.parse import parse_qsl, urlencode

from simulator.ledger import AnnouncedFile, AnnouncedMessage
from simulator.vendor_state import Send

ACCOUNTS = "/2010-04-01/Accounts"
DEFAULT_SIZE, LARGEST_SIZE = 50, 1000

Json = dict[str, Any]


def received(message: AnnouncedMessage, to: str) -> Json:
    """What a customer sent."""
    return _resource(
        message.account,
        message.message_id,
        message.sent_at,
        direction="inbound",
        status="received",
        to=to,
        body=message.text,
        num_media="1" if message.file else "0",
    ) | {"from": message.owner.removeprefix("sms:")}


def sent(send: Send, account: str) -> Json:
    """What the business sent."""
    return _resource(
        account,
        send.provider_message_id,
        int(send.sent_at),
        direction="outbound-api",
        status="delivered",
        to=send.to,
        body=send.text,
        num_media="0",
    ) | {"from": send.body.get("From")}


def _resource(account: str, sid: str, at: int, **fields: str) -> Json:
    date = format_datetime(datetime.fromtimestamp(at, UTC))
    uri = f"{ACCOUNTS}/{account}/Messages/{sid}"
    return {
        "account_sid": account,
        "api_version": "2010-04-01",
        "date_created": date,
        "date_sent": date,
        "date_updated": date,
        "error_code": None,
        "error_message": None,
        "messaging_service_sid": None,
        "num_segments": "1",
        "price": None,
        "price_unit": None,
        "sid": sid,
        "subresource_uris": {"media": f"{uri}/Media.json"},
        "uri": f"{uri}.json",
        **fields,
    }


def page(resources: Sequence[Json], path: str, query: str) -> Json:
    """One page, the newest first. A token names the last message of the page before."""
    asked = dict(parse_qsl(query))
    size = min(int(asked.get("PageSize", DEFAULT_SIZE)), LARGEST_SIZE)
    chosen = [each for each in resources if _is_asked_for(each, asked)]
    chosen.sort(key=lambda each: (_moment(each), each["sid"]), reverse=True)
    start = 0
    if token := asked.get("PageToken", ""):
        sids = [each["sid"] for each in chosen]
        start = sids.index(token.removeprefix("PA")) + 1
    shown = chosen[start : start + size]
    following = None
    if start + size < len(chosen):
        token = f"PA{shown[-1]['sid']}"
        number = str(int(asked.get("Page", 0)) + 1)
        following = f"{path}?{urlencode({**asked, 'Page': number, 'PageToken': token})}"
    return {"messages": shown, "next_page_uri": following, "page_size": size}


def _is_asked_for(resource: Json, asked: dict[str, str]) -> bool:
    """By sender, recipient, and days of UTC: ``DateSent>=2026-11-20``."""
    day = _moment(resource).date().isoformat()
    return (
        asked.get("From", resource["from"]) == resource["from"]
        and asked.get("To", resource["to"]) == resource["to"]
        and asked.get("DateSent>", day) <= day <= asked.get("DateSent<", day)
    )


def _moment(resource: Json) -> datetime:
    return parsedate_to_datetime(resource["date_sent"])


def media_page(files: Sequence[AnnouncedFile], path: str) -> Json:
    """All files of one message."""
    folder = path.removesuffix(".json")
    media = [
        {
            "account_sid": file.account,
            "content_type": file.content_type,
            "parent_sid": file.message_id,
            "sid": file.media_id,
            "uri": f"{folder}/{file.media_id}.json",
        }
        for file in files
    ]
    return {"media_list": media, "next_page_uri": None, "page_size": DEFAULT_SIZE}
