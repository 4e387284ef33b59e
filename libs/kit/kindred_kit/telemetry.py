"""Logs as structured lines with the request id; metrics in the RED style (rate, errors, duration)."""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any, cast

import structlog
from prometheus_client import Counter, Gauge, Histogram

from kindred_kit.context import request_id_var

RPC_SECONDS = Histogram(
    "kindred_rpc_duration_seconds",
    "Duration of internal gRPC calls, as the server saw them",
    ["service", "method", "code"],
    # 1 ms to 10 s: a search takes milliseconds, an embedding about a tenth of a second
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
FALLBACKS = Counter("kindred_fallbacks_total", "Times a part went on without something it wanted", ["part", "reason"])
WORKER_IMAGES = Counter("kindred_worker_images_total", "Images that a worker has finished", ["worker", "outcome"])
WORKER_LAG = Gauge("kindred_worker_lag", "Events that are published and not yet dealt with", ["worker"])
STAGE_SECONDS = Histogram(
    "kindred_stage_duration_seconds",
    "Duration of one stage of the ingest pipeline for one image",
    ["worker", "stage"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5),
)


def configure_logging(*, level: str = "info", json: bool = False, tracebacks: bool = True) -> None:
    """Send all logs to stderr: JSON lines in a cluster, coloured lines on a terminal.

    Tracebacks never show values of variables, which are queries, paths and pixels of users; without `tracebacks` an
    error is one line.
    """
    renderer: Any = (
        structlog.processors.JSONRenderer()
        if json
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            _add_request_id,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *([] if tracebacks else [_one_line_error]),
            structlog.processors.format_exc_info if json else structlog.processors.StackInfoRenderer(),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),  # of the moment: a captured one may be closed
    )


def get_logger(service: str) -> structlog.typing.FilteringBoundLogger:
    """A logger whose lines carry `service` and the id of the request being served."""
    return cast(structlog.typing.FilteringBoundLogger, structlog.get_logger(service=service))


def _one_line_error(_logger: Any, _name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    error = event.pop("exc_info", None)
    if error is True:
        error = sys.exc_info()[1]
    if isinstance(error, BaseException):
        event.setdefault("error", f"{type(error).__name__}: {error}")
    return event


def _add_request_id(_logger: Any, _name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    request_id = request_id_var.get()
    if request_id:
        event.setdefault("request_id", request_id)
    return event
