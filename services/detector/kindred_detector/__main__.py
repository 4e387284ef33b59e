"""`python -m kindred_detector`: serve gRPC, label what comes over the bus, until SIGTERM."""

import asyncio

from kindred_detector.app import Adapters, build
from kindred_detector.settings import DetectorSettings
from kindred_kit.process import serve_models

asyncio.run(serve_models("detector", lambda *parts: build(DetectorSettings(), Adapters(*parts))))
