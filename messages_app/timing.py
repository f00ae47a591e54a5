"""The time rules of conversations: grace periods, windows, pauses, leases and limits of one run."""

from __future__ import annotations

from datetime import timedelta

# --- reading --------------------------------------------------------------------------------

#: A run of the drainer begins no batch after this time.
DRAIN_RUN_SECONDS = 10.0
#: The drainer's lease. It is renewed for each batch.
DRAIN_LEASE = timedelta(seconds=45)
#: A transaction of the drainer waits no longer for a lock (PostgreSQL).
LOCK_TIMEOUT_SECONDS = 60
#: A webhook waits so long for the other writers of its process (SQLite). A provider waits about
#: 10 s; SQLite's own wait for other processes comes after this one.
WRITER_TURN_SECONDS = 4.0
#: Between two drain jobs that one web process enqueues. Deliveries in between share the next one.
ENQUEUE_INTERVAL_SECONDS = 0.02
#: A web process counts the refused webhooks of one endpoint and cause in the database this often.
REFUSAL_WRITE_SECONDS = 10.0
#: The count of refused webhooks starts again after so long without one.
REFUSAL_COUNT_PERIOD = timedelta(days=1)

#: Who waits for a delivery to be read, by another drainer, looks this often.
INBOX_LOOK_SECONDS = 0.2
#: Twilio's list of messages is read again from so long before the time up to which it was read.
LISTING_OVERLAP = timedelta(days=1)
#: How far back it is read the first time.
FIRST_LISTING_PERIOD = timedelta(days=30)

# --- sessions -------------------------------------------------------------------------------

#: A photo sent so long after DONE still belongs to the session: it was on its way.
LATE_PHOTO_GRACE = timedelta(seconds=120)
#: So long after a session has expired DONE asks its contact for the photos again.
EXPIRED_SESSION_WINDOW = timedelta(hours=24)
#: Between two hints to a contact who chats while photos are expected.
HINT_INTERVAL = timedelta(seconds=60)
#: Where the provider sends no time, the time of receipt is used: messages that arrive together may
#: have changed places.
ASSUMED_TIME_TOLERANCE = timedelta(seconds=2)
#: A correction is sent so long after the reply that it corrects, not sooner.
CORRECTION_DELAY = timedelta(seconds=5)
#: A run takes no more conversations to rebuild after this time.
REBUILD_RUN_SECONDS = 10.0
#: Who claims a conversation has so long to rebuild it.
REBUILD_LEASE = timedelta(seconds=60)
_FIRST_REBUILD_PAUSE = timedelta(seconds=30)
_LONGEST_REBUILD_PAUSE = timedelta(hours=1)


def rebuild_pause(attempts: int) -> timedelta:
    """The pause after so many failed attempts to rebuild: 30 s, doubled each time, up to an hour.

    >>> [str(rebuild_pause(attempts)) for attempts in (1, 2, 3, 100)]
    ['0:00:30', '0:01:00', '0:02:00', '1:00:00']
    """
    doublings = min(max(attempts - 1, 0), 10)
    pause: timedelta = _FIRST_REBUILD_PAUSE * 2**doublings
    return min(pause, _LONGEST_REBUILD_PAUSE)


# --- sending --------------------------------------------------------------------------------

#: WhatsApp lets a business answer for so long after the contact's last message.
WHATSAPP_REPLY_WINDOW = timedelta(hours=24)
#: A hand-over is tried for so long after its first attempt.
HAND_OVER_PERIOD = timedelta(days=3)
#: An item that is being sent for longer was cut off: no attempt takes so long.
SENDING_LIMIT = timedelta(minutes=3)
#: A run of a sender begins no item after this time. It is far below the time limit of its job, so
#: that no send is cut off, and short enough for a worker that is told to stop.
SEND_RUN_SECONDS = 20.0
#: The pause of an item that could not be prepared, when everything failed …
OUTAGE_PAUSE = timedelta(seconds=10)
#: … and when only this item failed.
PREPARE_PAUSE = timedelta(minutes=5)

# --- erasing --------------------------------------------------------------------------------

#: Whoever carries out an erasure prolongs its lease with each batch.
ERASURE_LEASE = timedelta(seconds=60)
#: The GDPR (Article 12) gives a month.
ERASURE_DUE = timedelta(days=30)
#: A sweep works on erasures for so long; the next one goes on.
ERASURE_RUN_SECONDS = 30.0
#: An erasure waits so long for workers and senders that are in the middle of something; then it
#: goes on with the next sweep.
ERASURE_PATIENCE_SECONDS = 60.0
#: How often a sweeper compares the records in the storage with the requests.
ERASURE_RECORDS_SECONDS = 600.0
