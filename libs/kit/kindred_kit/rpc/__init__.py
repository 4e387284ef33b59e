"""gRPC, both ends: request ids, deadlines, errors with their codes, health and reflection."""

from kindred_kit.rpc.client import open_channel
from kindred_kit.rpc.server import MAX_MESSAGE_BYTES, RpcServer

__all__ = ["MAX_MESSAGE_BYTES", "RpcServer", "open_channel"]
