"""Settings of the engines: adapters by URL, and secrets that nobody sees."""

from pathlib import Path

import pytest

from kindred_kit.adapters.kafka_bus import KafkaBus
from kindred_kit.adapters.sqlite_bus import SqliteBus
from kindred_kit.errors import InvalidArgument
from kindred_kit.process import BusSettings, ProcessSettings, bus_at


async def test_a_bus_by_its_url(tmp_path: Path) -> None:
    file = bus_at(BusSettings(bus_url=f"sqlite://{tmp_path}/bus.db"))
    kafka = bus_at(BusSettings(bus_url="kafka://127.0.0.1:9"))  # nobody is asked before the first call
    assert isinstance(file, SqliteBus)
    assert isinstance(kafka, KafkaBus)
    await file.aclose()
    await kafka.aclose()


@pytest.mark.parametrize("url", ["", "amqp://host", "bus.db", "kafka://"])
def test_an_unknown_bus_is_refused(url: str) -> None:
    with pytest.raises(InvalidArgument, match="KINDRED_BUS_URL"):
        bus_at(BusSettings(bus_url=url))


def test_secrets_reach_the_adapters_and_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "BUS_SECURITY": "SASL_SSL",
        "BUS_USERNAME": "kindred",
        "BUS_PASSWORD": "secret one",
        "BUS_CA_FILE": "ca.pem",
        "BLOBS_ACCESS_KEY": "key",
        "BLOBS_SECRET_KEY": "secret two",
    }.items():
        monkeypatch.setenv(f"KINDRED_{name}", value)
    settings = ProcessSettings()
    assert not any(secret in repr(settings) for secret in ("secret one", "secret two"))
    assert settings.bus_options == {
        "security_protocol": "SASL_SSL",
        "ssl_cafile": "ca.pem",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": "kindred",
        "sasl_plain_password": "secret one",
    }
    assert settings.blob_options["secret_access_key"] == "secret two"
    assert ProcessSettings(bus_security="SSL").bus_options.keys() == {"security_protocol", "ssl_cafile"}
