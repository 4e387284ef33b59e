"""`python -m kindred_embedder`: serve gRPC and work on the bus until SIGTERM."""

import asyncio

from kindred_embedder.app import Adapters, build
from kindred_embedder.settings import EmbedderSettings
from kindred_kit.process import serve_models

asyncio.run(serve_models("embedder", lambda *parts: build(EmbedderSettings(), Adapters(*parts))))
