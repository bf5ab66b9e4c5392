"""Changesets over a queue that repeats and reorders its messages.

Every message is a changeset, and every device gets every message, in its own time. Whatever comes
twice or too early is merged all the same. Only a queue that loses messages needs more: let a device
ask another one with its vector now and then, as in `http_fastapi.py`.

    pip install crsql
    python message_queue.py
"""

from __future__ import annotations

import queue
import random
import sqlite3

import crsql
from told import Told

BYTES_MAX = 200_000
SCHEMA = "CREATE TABLE note(id TEXT PRIMARY KEY NOT NULL, body TEXT)"


class Device:
    """A replica with an inbox."""

    def __init__(self) -> None:
        self.conn = sqlite3.connect(":memory:", isolation_level=None)
        self.replica = crsql.Replica(self.conn)
        self.conn.execute(SCHEMA)
        self.replica.enable("note")
        self.told = Told(self.replica, self.conn)
        self.inbox: queue.Queue[bytes] = queue.Queue()

    def publish(self, topic: Topic) -> None:
        """Sends what nobody has sent yet; noted afterwards, so a crash sends it twice."""
        while (blob := self.told.next(BYTES_MAX)) is not None:
            topic.send(blob)
            self.told.add(blob)

    def receive(self) -> None:
        """Merges what has come."""
        while not self.inbox.empty():
            blob = self.inbox.get()
            report = self.replica.apply(blob)
            self.told.add(blob)
            if report["cut"]:
                # From a clock that is ahead. A real queue: do not acknowledge, it comes again.
                self.inbox.put(blob)
                return


class Topic:
    """A queue that delivers late, in any order, and one message in three twice."""

    def __init__(self, devices: list[Device], chance: random.Random) -> None:
        self.devices = devices
        self.chance = chance
        self.waiting: list[tuple[Device, bytes]] = []

    def send(self, blob: bytes) -> None:
        """Takes a message for every device, its sender too."""
        for device in self.devices:
            self.waiting += [(device, blob)] * self.chance.choice((1, 1, 2))

    def deliver(self, share: float) -> None:
        """Delivers about that share of what waits."""
        self.chance.shuffle(self.waiting)
        count = round(len(self.waiting) * share)
        for device, blob in self.waiting[:count]:
            device.inbox.put(blob)
        del self.waiting[:count]


def main() -> None:
    """Four devices write, overwrite and delete the same twenty notes."""
    chance = random.Random(7)
    devices = [Device() for _ in range(4)]
    topic = Topic(devices, chance)
    for turn in range(300):
        device = chance.choice(devices)
        note = f"note {chance.randrange(20)}"
        if chance.random() < 0.2:
            device.conn.execute("DELETE FROM note WHERE id = ?", (note,))
        else:
            device.conn.execute("REPLACE INTO note VALUES (?, ?)", (note, f"turn {turn}"))
        device.publish(topic)
        topic.deliver(chance.random() * 0.3)
        chance.choice(devices).receive()
    while topic.waiting or any(not device.inbox.empty() for device in devices):
        topic.deliver(1)
        for device in devices:
            device.receive()
            device.publish(topic)

    digests = {device.conn.execute("SELECT crsql_digest()").fetchone() for device in devices}
    notes = devices[0].conn.execute("SELECT count(*) FROM note").fetchone()[0]
    assert len(digests) == 1 and notes > 0
    print(f"{len(devices)} devices, all with the same {notes} notes")
    for device in devices:
        device.conn.close()


if __name__ == "__main__":
    main()
