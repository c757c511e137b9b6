"""What work travels in. A lane is a channel and a priority, `email.high`, with a queue of its own on the broker.

Besides the channels of deliveries there are those of other work that apps above have (settings.LANE_WORKERS): it goes
the same way, from the outbox through the transport to a worker, which gives the same verdicts. The ids in its outbox
rows and messages are then that work's, and what becomes of them is for that app alone to know and to keep reachable:
what a queue gives up on is dropped there, and its own sweep finds it again.
"""

from django.conf import settings

from notifications.choices import Channel, Priority

Lane = tuple[str, str]

#: Everything a worker may be started for.
CHANNELS: tuple[str, ...] = (*Channel.values, *settings.LANE_WORKERS)
#: Critical first: within a round of the relay, and by that on the wire.
LANES: tuple[Lane, ...] = tuple((channel, priority) for priority in Priority.values for channel in CHANNELS)


def label(channel: str) -> str:
    """A channel's name for people."""
    return str(Channel(channel).label) if channel in Channel.values else channel.capitalize()
