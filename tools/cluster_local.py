"""Run a cluster on this machine until Ctrl-C: Kafka, PostgreSQL, an S3 in memory, and the five services as processes.

Its gallery is new and gone at the end; servers and services listen on 127.0.0.1 alone. Needs what the tests need.
"""

import argparse
import signal
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8080, help="of the HTTP API")
    port = parser.parse_args().port
    sys.path.insert(0, str(ROOT / "tests"))
    from support import cluster
    from support.kafka_server import KafkaServer
    from support.postgres_server import PostgresServer
    from support.s3_server import S3Server

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kindred-cluster-")))
        started = []
        for kind in (KafkaServer, PostgresServer, S3Server):
            server = kind()
            stack.callback(server.close)
            server.start()
            started.append(server)
        engines = cluster.servers(folder, *started)
        addresses = stack.enter_context(cluster.services(folder, engines, port))
        with httpx.Client(base_url=f"http://{addresses['gateway']}", timeout=10) as client:
            cluster.wait_until_ready(client)
        print(f"http://{addresses['gateway']}  logs in {folder}; Ctrl-C ends it all")
        for name, value in engines.items():
            print(f"export {name}='{value}'")
        sys.stdout.flush()
        signal.pause()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
    except pytest.skip.Exception as missing:
        sys.exit(f"error: {missing}")
