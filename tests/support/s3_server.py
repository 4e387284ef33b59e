"""An S3 in memory on a free port of this machine: moto, from an environment of its own."""

import signal
import subprocess
from typing import Any

import httpx

from support.paths import ROOT
from support.servers import free_port, missing, stop, wait_for_port

_PROGRAM = ROOT / ".venv-servers" / "bin" / "moto_server"
CREDENTIALS = {"access_key_id": "kindred", "secret_access_key": "of the tests"}


class S3Server:
    """Buckets that are gone with the process, from `start` to `close`."""

    def __init__(self) -> None:
        if not _PROGRAM.exists():
            missing("no S3 server here: make .venv-servers/.made")
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """On the same port as before, empty."""
        command = [str(_PROGRAM), "-H", "127.0.0.1", "-p", str(self._port)]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for_port(self._port, self._process)

    def bucket(self, name: str) -> dict[str, Any]:
        """Make a bucket; what `ObjectBlobStore.from_url` needs beside its URL."""
        httpx.put(f"{self.endpoint}/{name}", timeout=10).raise_for_status()
        return {"endpoint": self.endpoint, "region": "us-east-1", **CREDENTIALS}

    def close(self) -> None:
        if self._process is not None and self._process.poll() is None:
            stop(self._process, signal.SIGTERM)
