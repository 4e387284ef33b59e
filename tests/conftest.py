"""Options and servers of the whole test session.

`--inference=triton` and `--database=postgresql` run the same tests on those.
"""

import os
from collections.abc import Iterator

import pytest
from support import databases, inference
from support.kafka_server import KafkaServer
from support.postgres_server import PostgresServer
from support.s3_server import S3Server


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--inference", choices=("onnx", "triton"), default="onnx", help="what the models run on")
    parser.addoption("--database", choices=("sqlite", "postgresql"), default="sqlite", help="what catalogues lie in")


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server that no test stops."""
    server = PostgresServer()
    server.start()
    yield server
    server.close()


@pytest.fixture
def mortal_postgres() -> Iterator[PostgresServer]:
    """A server of the test's own, to be killed."""
    server = PostgresServer()
    server.start()
    yield server
    server.close()


@pytest.fixture
def mortal_kafka() -> Iterator[KafkaServer]:
    """A server of the test's own, to be killed."""
    server = KafkaServer()
    server.start()
    yield server
    server.close()


@pytest.fixture(scope="session")
def kafka() -> Iterator[KafkaServer]:
    """A Kafka server that no test stops."""
    server = KafkaServer()
    server.start()
    yield server
    server.close()


@pytest.fixture(scope="session")
def s3() -> Iterator[S3Server]:
    """An S3 server that no test stops."""
    server = S3Server()
    server.start()
    yield server
    server.close()


@pytest.fixture(scope="session", autouse=True)
def _database(request: pytest.FixtureRequest) -> Iterator[None]:
    if request.config.getoption("--database") == "postgresql":
        databases.server = request.getfixturevalue("postgres")
    yield
    databases.server = None


@pytest.fixture(scope="session", autouse=True)
def _inference(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    if request.config.getoption("--inference") == "onnx":
        yield
        return
    with inference.serving_all(tmp_path_factory.mktemp("triton")) as server:
        inference.SETTINGS.update(inference.triton_settings(server))
        os.environ.update(inference.SETTINGS)
        yield
    for name in inference.SETTINGS:
        del os.environ[name]
    inference.SETTINGS.clear()
