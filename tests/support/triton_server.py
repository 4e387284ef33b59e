"""The real tritonserver on 127.0.0.1, from the folder that `make triton-server` fills."""

import json
import os
import signal
import socket
import subprocess
import sys
import sysconfig
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.paths import ROOT

HOME = Path(os.environ.get("KINDRED_TEST_TRITON", ROOT / ".triton")) / "pytriton" / "tritonserver"
_START_S = 180.0


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

    def start(self, *, wait: bool = True) -> None:
        """Start, and wait until the server is up and has tried every model."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command(), stdout=log, stderr=log, env=_environment(), start_new_session=True
            )
        if wait:
            self.wait_until_live()

    def wait_until_live(self) -> None:
        deadline = time.monotonic() + _START_S
        while not self._answers("/v2/health/live"):
            assert self._process is not None
            assert self._process.poll() is None, f"tritonserver ended: {self.log.read_text()[-3000:]}"
            assert time.monotonic() < deadline, f"tritonserver did not start: {self.log.read_text()[-3000:]}"
            time.sleep(0.05)

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
            str(HOME / "bin" / "tritonserver"),
            f"--model-repository={self.repository}",
            f"--backend-directory={HOME / 'backends'}",
            f"--cache-directory={HOME / 'caches'}",
            "--cache-config=local,size=16777216",
            "--model-control-mode=explicit",
            "--load-model=*",
            "--exit-on-error=false",  # a model that can't be loaded is not ready, the others serve
            "--http-address=127.0.0.1",
            f"--http-port={self._http}",
            "--grpc-address=127.0.0.1",
            f"--grpc-port={self._grpc}",
            "--metrics-address=127.0.0.1",
            f"--metrics-port={self._metrics}",
            "--exit-timeout-secs=3",
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
    """The python backend's processes use the interpreter and the packages of this one."""
    libraries = [str(sysconfig.get_config_var("LIBDIR")), os.environ.get("LD_LIBRARY_PATH", "")]
    return {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}",
        "PYTHONPATH": sysconfig.get_path("purelib"),
        "LD_LIBRARY_PATH": ":".join(filter(None, libraries)),
    }


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(one.getsockname()[1]) for one in sockets]
    for one in sockets:
        one.close()
    return ports
