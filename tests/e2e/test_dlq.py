"""`kindred dlq` on a gallery and on the bus of a cluster."""

import asyncio
import json
import subprocess
from pathlib import Path

from support.commands import KINDRED, CommandLine, environment, write_photos
from support.kafka_server import KafkaServer
from support.photos import noise_jpeg

from kindred.events.v1 import events_pb2 as events
from kindred_kit.adapters.kafka_bus import KafkaBus
from kindred_kit.adapters.kafka_client import KafkaSettings
from kindred_kit.ports.bus import OutgoingMessage


def test_a_broken_photo_is_listed_replayed_and_dropped(command_line: CommandLine, tmp_path: Path) -> None:
    folder = write_photos(tmp_path / "photos", ["chelsea.png"])
    whole = noise_jpeg(7)
    (folder / "cut.jpg").write_bytes(whole[: len(whole) // 2])  # the header is there, so that it is accepted
    command_line.run("index", folder, "--license", "cc0")
    [letter] = command_line.json("dlq", "list")["dead_letters"]
    assert (letter["reason"], letter["worker"], letter["attempts"]) == ("image_truncated", "embedder-worker", 1)
    short = letter["image_id"][:8]
    assert "image_truncated" in command_line.run("dlq", "show", short).stdout
    assert command_line.json("dlq", "replay", short) == {"replayed": 1}
    assert command_line.json("dlq", "list")["dead_letters"] == []
    command_line.run("index", folder, "--license", "cc0")  # the worker runs again
    assert command_line.json("dlq", "list", "--reason", "image_empty")["dead_letters"] == []
    [again] = command_line.json("dlq", "list", "--worker", "embedder-worker")["dead_letters"]
    assert again["image_id"] == letter["image_id"]
    assert command_line.json("dlq", "drop", "--all") == {"dropped": 1}
    assert "No dead letters" in command_line.run("dlq", "list").stdout
    assert "no dead letter" in command_line.run("dlq", "show", "abcd", expect=1).stderr
    assert "--all" in command_line.run("dlq", "replay", expect=2).stderr
    assert "--all" in command_line.run("dlq", "drop", "abcd", "--all", expect=2).stderr


def test_of_a_cluster(kafka: KafkaServer) -> None:
    async def give_up() -> None:
        bus = KafkaBus(KafkaSettings.from_url(kafka.url, {}))
        event = events.ImageEvent(image_id="ab" * 32, seq=1)
        letter = events.DeadLetter(
            event=event, consumer_group="detector-worker", code="image_truncated", payload=event.SerializeToString()
        )
        message = OutgoingMessage(f"{event.image_id}/detector-worker", letter.SerializeToString())
        await bus.publish("images.v1.dlq", [message])
        await bus.aclose()

    def kindred(*arguments: str) -> dict[str, object]:
        command = [*KINDRED, "dlq", *arguments, "--json"]
        done = subprocess.run(command, capture_output=True, text=True, env=environment(KINDRED_BUS_URL=kafka.url))
        assert done.returncode == 0, done.stderr
        return dict(json.loads(done.stdout))

    asyncio.run(give_up())
    [letter] = kindred("list")["dead_letters"]  # type: ignore[misc, attr-defined]
    assert (letter["image_id"], letter["worker"]) == ("ab" * 32, "detector-worker")
    assert kindred("replay", "ab") == {"replayed": 1}
    assert kindred("list") == {"dead_letters": []}
