"""Data sets: order, watch, list, download, delete."""

import base64
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request
from starlette.responses import Response, StreamingResponse

from kindred.datasets.v1 import datasets_pb2 as pb
from kindred.search.v1 import search_pb2
from kindred_gateway.answers import json_answer, problems
from kindred_gateway.bodies import read_json
from kindred_gateway.datasets.answers import dataset_json, dataset_urls, job_json, listed_json
from kindred_gateway.datasets.bodies import DatasetBody, checked, named
from kindred_gateway.datasets.orders import spec_of
from kindred_gateway.documents import request_body
from kindred_gateway.edge import is_head
from kindred_gateway.parts import Parts, PartsDep
from kindred_gateway.presentation import Json, iso_time
from kindred_gateway.principals import PrincipalDep
from kindred_gateway.problems import DatasetNotFound, DatasetNotReady, JobNotFound, RequestInvalid
from kindred_gateway.ranges import wanted_range
from kindred_gateway.routes.files import content_disposition
from kindred_gateway.routes.parameters import refuse_unknown_parameters
from kindred_gateway.schemas import DatasetAnswer, DatasetsAnswer, JobAnswer
from kindred_kit.errors import RemoteError

router = APIRouter(tags=["datasets"])
_NOT_FOUND = problems(s404="dataset_not_found")


@router.post(
    "/v1/datasets",
    status_code=202,
    responses={
        202: {"model": JobAnswer, "description": "Being built; Location names the job"},
        **problems(
            s400="malformed_body",
            s404="image_not_found, upload_not_found",
            s409="idempotency_conflict, too_many_datasets",
            s413="body_too_large",
            s415="unsupported_media_type",
            s422="invalid_argument, size_invalid, threshold_invalid, format_unknown, filter_invalid, label_unknown, "
            "region_invalid, dataset_empty",
        ),
    },
    response_model=None,
    openapi_extra=request_body(DatasetBody),
)
async def create_dataset(
    request: Request,
    parts: PartsDep,
    principal: PrincipalDep,
    idempotency_key: Annotated[
        str, Header(max_length=255, description="The same key and body again: the same data set")
    ] = "",
) -> Response:
    """Order a data set from a query, from ids, or from photos on which a model fails."""
    refuse_unknown_parameters(request, frozenset())
    try:
        body = checked(await read_json(request, DatasetBody))
    except RequestInvalid as error:
        raise named(error) from None
    spec = await spec_of(parts, principal, body)
    made = await parts.datasets.CreateDataset(
        pb.CreateDatasetRequest(principal=principal, idempotency_key=idempotency_key, spec=spec)
    )
    location = dataset_urls(made.dataset_id, parts.settings.public_url)["job"]
    return json_answer(job_json(made, parts.settings.public_url), 202, {"Location": location})


@router.get("/v1/datasets", responses={200: {"model": DatasetsAnswer}, **_NOT_FOUND}, response_model=None)
async def list_datasets(
    request: Request,
    parts: PartsDep,
    principal: PrincipalDep,
    limit: Annotated[int, Query(ge=1, le=100)] = 30,
    after: Annotated[str, Query(max_length=100, description="`next_after` of the page before")] = "",
) -> Response:
    """The caller's data sets, newest first."""
    refuse_unknown_parameters(request)
    answer = await parts.datasets.ListDatasets(pb.ListDatasetsRequest(principal=principal, limit=limit, after_id=after))
    listed = [listed_json(dataset, parts.settings.public_url) for dataset in answer.datasets]
    return json_answer({"datasets": listed, "next_after": listed[-1]["id"] if answer.more else None})


@router.get("/v1/datasets/{dataset_id}", responses={200: {"model": DatasetAnswer}, **_NOT_FOUND}, response_model=None)
async def get_dataset(dataset_id: str, parts: PartsDep, principal: PrincipalDep) -> Response:
    """What a data set holds, what was left out and why; a download link once it is done."""
    dataset = await _dataset(parts, principal, dataset_id)
    return json_answer(dataset_json(dataset, parts.settings.public_url, _download(parts, dataset, principal.owner)))


@router.delete(
    "/v1/datasets/{dataset_id}",
    status_code=204,
    responses={204: {"description": "The data set and its archive are gone"}, **_NOT_FOUND},
    response_model=None,
)
async def delete_dataset(dataset_id: str, parts: PartsDep, principal: PrincipalDep) -> Response:
    """Delete a data set, also one that is being built. The images stay in the gallery."""
    request = pb.DeleteDatasetRequest(principal=principal, dataset_id=dataset_id)
    if not (await parts.datasets.DeleteDataset(request)).deleted:
        raise DatasetNotFound("there is no data set of yours with this id")
    return Response(status_code=204)


@router.get(
    "/v1/jobs/{job_id}", responses={200: {"model": JobAnswer}, **problems(s404="job_not_found")}, response_model=None
)
async def get_job(job_id: str, parts: PartsDep, principal: PrincipalDep) -> Response:
    """How far a long job is."""
    try:
        dataset = await _dataset(parts, principal, job_id)
    except DatasetNotFound:
        raise JobNotFound("there is no job of yours with this id") from None
    return json_answer(job_json(dataset, parts.settings.public_url))


@router.get(
    "/v1/datasets/{dataset_id}/archive",
    responses={
        200: {"content": {"application/zip": {}}, "description": "The archive"},
        206: {"content": {"application/zip": {}}, "description": "A part of it, as Range asks"},
        304: {"description": "Not modified"},
        **problems(
            s403="link_invalid, link_expired",
            s404="dataset_not_found",
            s409="dataset_not_ready",
            s416="range_not_satisfiable",
        ),
    },
    response_model=None,
)
async def download_archive(
    dataset_id: str, request: Request, parts: PartsDep, token: Annotated[str, Query(max_length=500)]
) -> Response:
    """The zip, by the link that GET /v1/datasets/{id} gives. Ranges work; Repr-Digest is its SHA-256 (RFC 9530)."""
    refuse_unknown_parameters(request)
    owner = parts.links.owner(dataset_id, token)
    dataset = await _dataset(parts, search_pb2.Principal(owner=owner), dataset_id)
    if dataset.state != pb.DATASET_STATE_DONE:
        raise DatasetNotReady("the data set is not done yet")
    if await parts.blobs.head(dataset.archive_key) is None:
        raise DatasetNotFound("the data set's archive has expired")
    etag = f'"{dataset.archive_sha256}"'
    digest = base64.b64encode(bytes.fromhex(dataset.archive_sha256)).decode()
    headers = {
        "ETag": etag,
        "Repr-Digest": f"sha-256=:{digest}:",
        "Cache-Control": "private, max-age=3600",
        "Content-Disposition": content_disposition(f"{dataset.name}.zip", inline=False),
    }
    if request.headers.get("if-none-match", "") == etag:
        return Response(status_code=304, headers=headers)
    wanted = wanted_range(request.headers, dataset.archive_bytes, etag)
    headers |= wanted.headers
    status = 206 if wanted.partial else 200
    if is_head(request.scope):
        return Response(b"", status, headers, "application/zip")
    body = parts.blobs.read(dataset.archive_key, wanted.start, wanted.end)
    return StreamingResponse(body, status, headers, "application/zip")


async def _dataset(parts: Parts, principal: search_pb2.Principal, dataset_id: str) -> pb.Dataset:
    try:
        return await parts.datasets.GetDataset(pb.GetDatasetRequest(principal=principal, dataset_id=dataset_id))
    except RemoteError as error:
        if error.code == DatasetNotFound.code:
            raise DatasetNotFound("there is no data set of yours with this id; they are kept for some days") from None
        raise


def _download(parts: Parts, dataset: pb.Dataset, owner: str) -> Json | None:
    if dataset.state != pb.DATASET_STATE_DONE:
        return None
    token, expires = parts.links.token(dataset.dataset_id, owner)
    return {
        "url": f"{parts.settings.public_url}/v1/datasets/{dataset.dataset_id}/archive?token={token}",
        "expires_at": iso_time(expires * 1000),
        "bytes": dataset.archive_bytes,
        "sha256": dataset.archive_sha256,
    }
