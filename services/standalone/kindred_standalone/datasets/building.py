"""An order is placed, or found where an earlier run of the same command has placed it, and watched to its end."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from functools import partial

from kindred.datasets.v1 import datasets_pb2 as pb
from kindred_kit.errors import Status, error_from_code
from kindred_standalone.connect import LOCAL, Node, Session
from kindred_standalone.datasets.order import Order, with_terms

_POLL_S = 0.2
_ENDED = {pb.DATASET_STATE_DONE, pb.DATASET_STATE_FAILED}


async def build(session: Session, order: Order, on_change: Callable[[pb.Dataset], None]) -> pb.Dataset:
    """The data set, done. Raises what it failed with.

    The same arguments again go on with what is unfinished; what had ended before is made anew, since the gallery may
    have changed. (One that ends while this process starts was unfinished when the command was given.)
    """
    spec = await session.call(lambda node: with_terms(node, order.spec))
    for number in itertools.count():
        request = pb.CreateDatasetRequest(principal=LOCAL, idempotency_key=f"{order.key}-{number}", spec=spec)
        dataset = await session.call(partial(_create, request))
        if dataset.state not in _ENDED or dataset.finished_at_ms >= order.asked_at_ms:
            break
    return await _watch(session, dataset.dataset_id, on_change)


async def _create(request: pb.CreateDatasetRequest, node: Node) -> pb.Dataset:
    return await node.datasets.CreateDataset(request)


async def _watch(session: Session, dataset_id: str, on_change: Callable[[pb.Dataset], None]) -> pb.Dataset:
    request = pb.GetDatasetRequest(principal=LOCAL, dataset_id=dataset_id)
    while True:
        dataset = await session.call(lambda node: node.datasets.GetDataset(request))
        on_change(dataset)
        if dataset.state == pb.DATASET_STATE_FAILED:
            raise error_from_code(dataset.error_code, dataset.error_detail, Status.UNPROCESSABLE)
        if dataset.state == pb.DATASET_STATE_DONE:
            return dataset
        await asyncio.sleep(_POLL_S)
