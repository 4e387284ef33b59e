"""What a log line says of an error, and what it keeps to itself."""

from collections.abc import Iterator

import pytest
import structlog

from kindred_kit.telemetry import configure_logging, get_logger


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    yield
    structlog.reset_defaults()


def _fail(of_a_user: str) -> None:
    raise RuntimeError("the disk is on fire")


def _log_an_error() -> None:
    try:
        _fail("".join(("a private", " query")))  # not in the source line, which a traceback quotes
    except RuntimeError as error:
        get_logger("search").error("rpc failed", exc_info=error)


@pytest.mark.parametrize("json", [False, True])
def test_a_traceback_shows_no_values(capsys: pytest.CaptureFixture[str], json: bool) -> None:
    configure_logging(json=json)
    _log_an_error()
    logged = capsys.readouterr().err
    assert "the disk is on fire" in logged
    assert "Traceback" in logged
    assert "a private query" not in logged


def test_at_a_persons_terminal_an_error_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(tracebacks=False)
    _log_an_error()
    logged = capsys.readouterr().err
    assert "RuntimeError: the disk is on fire" in logged
    assert len(logged.splitlines()) == 1
