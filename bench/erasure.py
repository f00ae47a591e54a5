"""Erase one person among others, and look for them in every byte: ``python -m bench.erasure --files
2500``.

Real processes on SQLite with a folder, and on PostgreSQL with moto's S3. ``erase_contact`` is first
killed at each of its points. Then yesterday's database and bucket are restored and one sweep runs,
and the same webhooks come again. After each, number, name, ids and digests are looked for in rows,
in the database's files after VACUUM, in the bucket, in Redis and in the logs; the neighbours
(numbers that begin alike) must be as before. Exits 1 if anything is found.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import requests

from bench import erasure_search as search
from bench.erasure_places import Places, places
from mediahub.env import BASE_DIR
from simulator.accounts import Accounts
from simulator.content import Kind, content
from simulator.deliveries import SignedRequest, meta_delivery, twilio_delivery
from simulator.file_ids import FileId
from simulator.hub import Hub
from simulator.ledger import AnnouncedFile, AnnouncedMessage
from simulator.provider import SimulatedProvider
from tests.hubs import stored
from tests.waiting import until

ADA, NAME = "whatsapp:+14335551212", "Adamantia Kowalczyk"
NEIGHBOURS = ("whatsapp:+1433555121", "whatsapp:+143355512123")
KEY = "bench-of-erasures-0123456789abcdef"
#: In the order of the steps: what a run has passed for good is not reached by the next one.
POINTS = (
    "erase_after_tombstones",
    "erase_after_provider_copies",
    "erase_after_shared_files",
    *("erase_after_mark", "purge_after_claim", "purge_after_delete"),
    *("erase_within_files", "erase_after_files", "erase_after_objects"),
    *("erase_within_deliveries", "erase_after_deliveries"),
    *("erase_within_rows", "erase_after_rows"),
    *("erase_after_failed_jobs", "erase_after_record"),
)
ALBUM = 50


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=100)
    parser.add_argument("--neighbours", type=int, default=20, help="files of each")
    parser.add_argument("--on", choices=("sqlite", "postgres"), action="append")
    options = parser.parse_args()
    problems: list[str] = []
    for database in options.on or ("sqlite", "postgres"):
        with tempfile.TemporaryDirectory() as directory, ExitStack() as stack:
            place = stack.enter_context(places(Path(directory), database))
            problems += _run(Path(directory), place, options.files, options.neighbours)
    for problem in problems:
        print(problem)
    return 1 if problems else 0


def _run(directory: Path, place: Places, files: int, neighbours: int) -> list[str]:
    accounts = Accounts()
    said = [_photo(accounts, number, ADA, NAME) for number in range(files)]
    others = [
        _photo(accounts, files + 1000 * each + number, owner, "Neighbour")
        for each, owner in enumerate(NEIGHBOURS)
        for number in range(neighbours)
    ]
    problems: list[str] = []
    with SimulatedProvider(accounts=accounts) as provider:
        hub = Hub(
            directory / "hub",
            api_url=provider.api_url,
            cdn_host=provider.cdn_host,
            accounts=accounts,
            env={**place.env, "ERASURE_KEY": KEY},
            sweep_every=5,
        )
        deliveries = _deliveries(accounts, hub, provider, said, others)
        with hub:
            began = time.monotonic()
            _post(hub, deliveries)
            total = len(said) + len(others)
            until(lambda: stored(hub) == total, seconds=3600)
            took = time.monotonic() - began
            print(f"{place.name}: {total} files stored in {took:.0f} s", flush=True)
            _stop_writers(hub)
            needles = search.needles(place, ADA, NAME, said)
            before = search.of_others(place, NEIGHBOURS)
            place.back_up()
            seconds = _erase(hub, place)
            certificate = _certificate(hub, place)
            erased = json.dumps(certificate["erased"])
            print(f"  erased in {seconds:.1f} s after {len(POINTS)} kills: {erased}")

            def look(when: str) -> None:
                place.vacuum()
                found = search.find(place, hub, needles)
                problems.extend(f"{place.name}, {when}: {each}" for each in found)
                if search.of_others(place, NEIGHBOURS) != before:
                    problems.append(f"{place.name}, {when}: the neighbours changed")
                print(f"  {when}: {len(found)} places name the person", flush=True)

            look("erased")
            place.restore()
            began = time.monotonic()
            hub.manage("sweep")
            print(f"  swept after the restore in {time.monotonic() - began:.1f} s")
            look("restored and swept")
            hub.web.start()
            _post(hub, deliveries)
            hub.web.stop()
            hub.manage("sweep")
            look("the same webhooks again")
    return problems


def _photo(accounts: Accounts, number: int, owner: str, name: str) -> AnnouncedMessage:
    """Each tenth comes by Twilio."""
    provider = "twilio" if number % 10 == 9 else "meta"
    sent_at = int(time.time()) - 60
    id = FileId(Kind.PHOTO, number, sent_at)
    account, message_id, media_id = (
        accounts.meta_phone_number_id,
        f"wamid.HBgL{number:012}",
        id.meta,
    )
    if provider == "twilio":
        account, message_id, media_id = (
            accounts.twilio_account_sid,
            f"MM{number:032x}",
            id.twilio,
        )
    real = content(Kind.PHOTO, number)
    file = AnnouncedFile(
        provider=provider,
        account=account,
        media_id=media_id,
        message_id=message_id,
        owner=owner,
        kind=Kind.PHOTO,
        sha256=real.sha256,
        size=real.size,
        content_type=real.content_type,
        filename="",
        occurred_at=None,
    )
    return AnnouncedMessage(
        provider=provider,
        account=account,
        message_id=message_id,
        owner=owner,
        name=name,
        kind="image",
        text="",
        sent_at=sent_at,
        file=file,
    )


def _deliveries(
    accounts: Accounts,
    hub: Hub,
    provider: SimulatedProvider,
    said: list[AnnouncedMessage],
    others: list[AnnouncedMessage],
) -> list[SignedRequest]:
    """By Meta in albums, some of which a neighbour's photo is in; by Twilio one by one."""
    found = []
    by_meta = [message for message in (*said, *others) if message.provider == "meta"]
    by_meta.sort(key=lambda message: hash(message.message_id))
    for start in range(0, len(by_meta), ALBUM):
        found.append(meta_delivery(accounts, [[by_meta[start : start + ALBUM]]]))
    for message in (*said, *others):
        if message.provider == "twilio":
            found.append(
                twilio_delivery(
                    accounts, message, public_url=hub.url, api_url=provider.api_url
                )
            )
    return found


def _post(hub: Hub, deliveries: list[SignedRequest]) -> None:
    with requests.Session() as session:
        for each in deliveries:
            # A busy database answers 503: the provider sends it again.
            until(partial(_accepted, session, hub, each), seconds=600)


def _accepted(session: requests.Session, hub: Hub, delivery: SignedRequest) -> bool:
    answer = session.request(
        delivery.method,
        hub.url + delivery.path,
        data=delivery.body,
        headers=dict(delivery.headers),
        timeout=60,
    )
    assert answer.status_code in (200, 503), answer.status_code
    return answer.status_code == 200


def _stop_writers(hub: Hub) -> None:
    """All but Redis: what is compared must not change by itself."""
    for process in (*hub.webs, *hub.workers, hub.sweeper):
        process.stop()


def _erase(hub: Hub, place: Places) -> float:
    """Killed at each point, then to its end; the seconds of all runs together."""
    began = time.monotonic()
    for point in POINTS:
        place.end_leases()
        died = _run_command(hub, point)
        assert died.returncode == -9, (point, died.returncode, died.stderr[-2000:])
    place.end_leases()
    done = _run_command(hub, "")
    assert done.returncode == 0, done.stdout + done.stderr
    return time.monotonic() - began


def _run_command(hub: Hub, point: str) -> subprocess.CompletedProcess[str]:
    command = [str(BASE_DIR / "manage.py"), "erase_contact", ADA, "--apply"]
    return subprocess.run(
        [sys.executable, *command],
        env={**os.environ, **hub.env, "FAILPOINT": point},
        cwd=BASE_DIR,
        capture_output=True,
        text=True,
        check=False,
    )


def _certificate(hub: Hub, place: Places) -> dict[str, object]:
    """The one of the first request: its runs were killed."""
    (rows,) = (
        each for name, each in place.rows() if name == "messages_app_erasurerequest"
    )
    certificates = [row["certificate"] for row in rows if row["certificate"]]
    assert certificates, "nothing is certified"
    told = [
        json.loads(each) if isinstance(each, str) else each for each in certificates
    ]
    return max(told, key=lambda each: len(json.dumps(each["erased"])))


if __name__ == "__main__":
    sys.exit(main())
