"""The real tritonserver on 127.0.0.1, from the folder that `make triton-server` fills."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.paths import ROOT

HOME = Path(os.environ.get("KINDRED_TRITON_HOME", ROOT / ".triton")) / "pytriton" / "tritonserver"
_START_S = 60.0
_STARTS = 3


class TritonServer:
    """One server process on ports of its own. `start` again after `kill` and it is back on the same ports."""

    def __init__(self, repository: Path, log: Path, options: Sequence[str] = ()) -> None:
        self.repository = repository
        self.log = log
        self._options = options
        self._http, self._grpc, self._metrics = _free_ports(3)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """gRPC address, as KINDRED_TRITON_URL wants it."""
        return f"127.0.0.1:{self._grpc}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start, and wait until the server is up and has tried every model."""
        for _ in range(_STARTS):
            with self.log.open("ab") as log:
                self._process = subprocess.Popen(
                    self._command(), stdout=log, stderr=log, env=_environment(), start_new_session=True
                )
            if self._is_live_in_time():
                return
            # on a busy machine one start in fifty stood still while the python backend forked
            self.kill()
        raise AssertionError(f"tritonserver did not start: {self.log.read_text()[-3000:]}")

    def _is_live_in_time(self) -> bool:
        deadline = time.monotonic() + _START_S
        while time.monotonic() < deadline:
            if self._answers("/v2/health/live"):
                return True
            assert self._process is not None
            assert self._process.poll() is None, f"tritonserver ended: {self.log.read_text()[-3000:]}"
            time.sleep(0.05)
        return False

    def load(self, model: str) -> None:
        """Load a model, or load it anew while the one before still answers."""
        self._post(f"/v2/repository/models/{model}/load")

    def unload(self, model: str) -> None:
        self._post(f"/v2/repository/models/{model}/unload")

    def reasons(self) -> dict[str, str]:
        """Model -> why it is not served, empty where it is."""
        index: list[dict[str, str]] = json.loads(self._post("/v2/repository/index"))
        return {entry["name"]: entry.get("reason", "") for entry in index}

    def kill(self) -> None:
        """kill -9 the server and the processes of its python models."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(30)

    def stop(self) -> None:
        if self._process is None or self._process.poll() is not None:
            return
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self.kill()

    def _post(self, path: str) -> bytes:
        request = urllib.request.Request(f"http://127.0.0.1:{self._http}{path}", data=b"{}", method="POST")
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return bytes(answer.read())
        except urllib.error.HTTPError as error:
            raise AssertionError(error.read().decode()) from None

    def _answers(self, path: str) -> bool:
        try:
            return urllib.request.urlopen(f"http://127.0.0.1:{self._http}{path}", timeout=2).status == 200
        except OSError:
            return False

    def _command(self) -> list[str]:
        return [
            str(ROOT / "tools" / "run_triton_server.sh"),
            str(self.repository),
            f"--http-port={self._http}",
            f"--grpc-port={self._grpc}",
            f"--metrics-port={self._metrics}",
            *self._options,
        ]


def require_triton() -> None:
    """Skip the test where the server is not installed."""
    if not (HOME / "bin" / "tritonserver").exists():
        pytest.skip("no tritonserver on this machine: `make triton-server` installs it where it can be")


@contextmanager
def triton_server(repository: Path, log: Path, options: Sequence[str] = ()) -> Iterator[TritonServer]:
    """A server that has loaded what it can of `repository`, until the block ends; skips where there is no binary."""
    require_triton()
    server = TritonServer(repository, log, options)
    try:
        server.start()
        yield server
    finally:
        server.stop()


def _environment() -> dict[str, str]:
    """This interpreter's folder first: the server's python models run with what lies there."""
    return {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}"}


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(one.getsockname()[1]) for one in sockets]
    for one in sockets:
        one.close()
    return ports
