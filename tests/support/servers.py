"""What the real servers of tests have in common: free ports, waiting for an answer, skips that CI does not take."""

import os
import socket
import subprocess
import time
from collections.abc import Callable
from typing import Any, NoReturn

import pytest


def missing(what: str) -> NoReturn:
    """Skip for want of a server; where KINDRED_REQUIRE_SERVERS is set, as in CI, that is a failure."""
    if os.environ.get("KINDRED_REQUIRE_SERVERS"):
        pytest.fail(f"{what}; with KINDRED_REQUIRE_SERVERS no server may be left out")
    pytest.skip(what)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def wait_for_port(port: int, process: "subprocess.Popen[bytes]", timeout_s: float = 60) -> None:
    wait_until(lambda: _answers(port), process, timeout_s)


def wait_until(condition: Callable[[], Any], process: "subprocess.Popen[bytes]", timeout_s: float = 60) -> None:
    """Until the condition holds; fails when the process ends before."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert process.poll() is None, f"{process.args} ended with {process.returncode}"
        assert time.monotonic() < deadline, f"{process.args} does not answer after {timeout_s:.0f} s"
        time.sleep(0.05)


def stop(process: "subprocess.Popen[bytes]", signal_number: int) -> None:
    """By its id; killed where it does not end by itself."""
    process.send_signal(signal_number)
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(30)


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
