"""What Kafka's producer, readers and consumers share: settings, deadlines, errors in our words."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from kafka.errors import KafkaError
from kafka.structs import TopicPartition

from kindred_kit.errors import InvalidArgument, Unavailable
from kindred_kit.ports.bus import Message

DEADLINE_S = 10.0
"""Of everything that is asked of a broker: whoever waits decides what to do then."""
DEADLINE_MS = int(DEADLINE_S * 1000)


@dataclass(frozen=True)
class KafkaSettings:
    """`servers`: `host:port` of some brokers; `partitions` of a topic that is made here: the most workers of a group.

    `security`: options of kafka-python (security_protocol, sasl_…, ssl_…); they may hold a password.
    """

    servers: tuple[str, ...]
    partitions: int = 12
    security: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @classmethod
    def from_url(cls, url: str, security: Mapping[str, Any]) -> "KafkaSettings":
        """Of `kafka://host:port,host:port?partitions=12`. Raises InvalidArgument."""
        servers, _, options = url.removeprefix("kafka://").rstrip("/").partition("?")
        name, _, number = options.partition("=")
        known = (not options) or (name == "partitions" and number.isdecimal() and int(number) > 0)
        if not known or not all(server.rpartition(":")[2].isdecimal() for server in servers.split(",")):
            raise InvalidArgument("KINDRED_BUS_URL is not like kafka://host:9092,host:9092?partitions=12")
        return cls(tuple(servers.split(",")), int(number) if options else cls.partitions, security)

    @property
    def client(self) -> dict[str, Any]:
        """Options of every client."""
        # what the library logs is raised to us as well, and said in our own log
        logging.getLogger("kafka").setLevel(logging.CRITICAL)
        return {
            "bootstrap_servers": list(self.servers),
            "client_id": "kindred",
            "bootstrap_timeout_ms": DEADLINE_MS,
            "request_timeout_ms": DEADLINE_MS,
            "reconnect_backoff_max_ms": 2_000,
            **self.security,
        }


@contextmanager
def translated() -> Iterator[None]:
    """Errors of the client become Unavailable: a broker that is down or busy comes back, an operator grants a right."""
    try:
        yield
    except (KafkaError, OSError, RuntimeError) as error:  # RuntimeError: its own thread has ended
        raise Unavailable(f"the event bus does not do it now: {type(error).__name__}") from error


def message_of(record: Any) -> Message:
    """A record as the library reads it, as ours."""
    headers = {name: (value or b"").decode("utf-8", "replace") for name, value in record.headers}
    key = (record.key or b"").decode("utf-8", "replace")
    return Message(record.topic, key, record.value or b"", headers, record.partition, record.offset)


def partition_of(message: Message) -> TopicPartition:
    return TopicPartition(message.topic, message.partition)
