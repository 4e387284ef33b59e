"""What the operator's jobs still have to do, page by page."""

from kindred.search.v1 import search_pb2 as pb
from kindred_kit.errors import InvalidArgument
from kindred_search.catalogue import backlog
from kindred_search.catalogue.backlog import Lacking
from kindred_search.catalogue.catalogue import Catalogue
from kindred_search.labels import require_label_set

MAX_PAGE = 1_000


async def listed(catalogue: Catalogue, request: pb.ListBacklogRequest) -> pb.ListBacklogResponse:
    """Raises InvalidArgument."""
    if not 1 <= request.limit <= MAX_PAGE:
        raise InvalidArgument(f"limit lies between 1 and {MAX_PAGE:,}", pointer="/limit")
    lacking = _lacking(request)
    found = await catalogue.read(backlog.page, lacking, request.after_id, request.limit)
    waiting, total = (0, 0) if request.after_id else await catalogue.read(backlog.counts, lacking)
    return pb.ListBacklogResponse(
        images=[
            pb.ListBacklogResponse.Image(image_id=image.image_id, seq=image.seq, blob_key=image.blob_key)
            for image in found
        ],
        waiting=waiting,
        total=total,
    )


def _lacking(request: pb.ListBacklogRequest) -> Lacking:
    match request.WhichOneof("lacking"):
        case "labels" if request.labels.run:
            wanted = request.labels
            return backlog.lacks_labels(require_label_set(wanted.label_set), wanted.run, request.since_ms)
        case "space" if request.space:
            return backlog.lacks_embedding(request.space, request.since_ms)
        case _:
            raise InvalidArgument("say what the images lack: labels of a run, or an embedding of a space")
