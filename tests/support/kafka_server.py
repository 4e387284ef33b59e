"""Apache Kafka on free ports of this machine: one node in KRaft mode, of the jars of tools/install_kafka.sh."""

import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

from support.paths import ROOT
from support.servers import free_port, missing, stop, wait_for_port

JARS = ROOT / ".kafka" / "libs"
_CLUSTER_ID = "kindred-tests-00000000"

_SETTINGS = """
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{broker},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{broker}
controller.listener.names=CONTROLLER
log.dirs={folder}/data
offsets.topic.num.partitions=4
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
auto.create.topics.enable=false
# a node that was killed may come back after two seconds instead of nine
broker.heartbeat.interval.ms=500
broker.session.timeout.ms=2000
# a group begins at once instead of waiting 3 s for more members
group.initial.rebalance.delay.ms=0
"""


class KafkaServer:
    """A cluster of one node in a folder of its own, from `start` to `close`."""

    def __init__(self) -> None:
        if shutil.which("java") is None or not JARS.is_dir():
            missing("no Kafka server here: make .kafka/.made (needs java and mvn)")
        self._folder = Path(tempfile.mkdtemp(prefix="kindred-kafka-"))
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._settings = self._folder / "server.properties"
        self._settings.write_text(
            _SETTINGS.format(broker=self._port, controller=free_port(), folder=self._folder), encoding="ascii"
        )
        format_storage = ("kafka.tools.StorageTool", "format", "-t", _CLUSTER_ID, "-c", str(self._settings))
        subprocess.run([*_JAVA, *format_storage], check=True, capture_output=True, cwd=self._folder)

    @property
    def url(self) -> str:
        return f"kafka://127.0.0.1:{self._port}"

    def start(self) -> None:
        """On the same port as before, until it answers."""
        with (self._folder / "server.log").open("ab") as log:
            command = [*_JAVA, "kafka.Kafka", str(self._settings)]
            self._process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self._folder)
        wait_for_port(self._port, self._process)

    def kill(self) -> None:
        """As a crash does: no word to anybody."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(30)

    def close(self) -> None:
        if self._process is not None and self._process.poll() is None:
            stop(self._process, signal.SIGTERM)
        shutil.rmtree(self._folder, ignore_errors=True)


_JAVA = ("java", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", f"{JARS}/*")
"""Small, and quick to start."""
