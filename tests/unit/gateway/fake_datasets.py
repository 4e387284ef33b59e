"""The data set service in memory: an order is kept, and is done when a test says so."""

from typing import Any

from kindred.datasets.v1 import datasets_pb2 as pb
from kindred.datasets.v1 import datasets_pb2_grpc
from kindred_kit.errors import KindredError, Status


class NotFound(KindredError):
    """With the code of the real service, whose class the gateway does not know."""

    code = "dataset_not_found"
    status = Status.NOT_FOUND


class FakeDatasets(datasets_pb2_grpc.DatasetServiceServicer):
    def __init__(self) -> None:
        self.requests: list[Any] = []
        self.made: dict[tuple[str, str], pb.Dataset] = {}
        self.error: Exception | None = None

    async def CreateDataset(self, request: Any, context: Any) -> Any:
        self._begin(request)
        dataset = pb.Dataset(
            dataset_id=f"ds_{len(self.made):024d}",
            name=request.spec.name or "dataset",
            state=pb.DATASET_STATE_QUEUED,
            created_at_ms=1_700_000_000_000 + len(self.made),
            spec=request.spec,
        )
        self.made[request.principal.owner, dataset.dataset_id] = dataset
        return dataset

    async def GetDataset(self, request: Any, context: Any) -> Any:
        self._begin(request)
        return self._find(request)

    async def ListDatasets(self, request: Any, context: Any) -> Any:
        self._begin(request)
        mine = [made for (owner, _), made in reversed(self.made.items()) if owner == request.principal.owner]
        start = next((n + 1 for n, made in enumerate(mine) if made.dataset_id == request.after_id), 0)
        page = mine[start : start + request.limit]
        return pb.ListDatasetsResponse(datasets=page, more=len(mine) > start + request.limit)

    async def DeleteDataset(self, request: Any, context: Any) -> Any:
        self._begin(request)
        found = self.made.pop((request.principal.owner, request.dataset_id), None)
        return pb.DeleteDatasetResponse(deleted=found is not None)

    def _find(self, request: Any) -> pb.Dataset:
        try:
            return self.made[request.principal.owner, request.dataset_id]
        except KeyError:
            raise NotFound("there is no data set with this id") from None

    def _begin(self, request: Any) -> None:
        self.requests.append(request)
        if self.error is not None:
            raise self.error
