"""An image that passed the door: bytes to the object store first, then the record."""

from dataclasses import dataclass

from kindred.search.v1 import search_pb2
from kindred_gateway.door import CheckedImage
from kindred_gateway.licenses import GivenRights, merged
from kindred_gateway.parts import Parts
from kindred_kit.errors import Unavailable


@dataclass(frozen=True)
class NewPhoto:
    """What the client said about an image."""

    rights: GivenRights
    source: str
    file_name: str
    visibility: search_pb2.Visibility.ValueType
    origin: str


def image_key(image_id: str) -> str:
    return f"images/{image_id[:2]}/{image_id}"


async def accept(
    parts: Parts, principal: search_pb2.Principal, image: CheckedImage, photo: NewPhoto
) -> search_pb2.AcceptImagesResponse.Result:
    """Store and record. When this returns, a crash of any part loses nothing.

    The bytes are put even where they lie already: a deletion of the last claim may just be removing them.
    """
    key = image_key(image.image_id)
    await parts.blobs.put(key, image.data)
    new_image = search_pb2.NewImage(
        image_id=image.image_id,
        blob_key=key,
        byte_size=len(image.data),
        width=image.info.width,
        height=image.info.height,
        format=image.info.format,
        origin=photo.origin,
        taken_at=image.info.taken_at or "",
        claim=search_pb2.Claim(
            rights=merged(photo.rights, image.info.rights),
            visibility=photo.visibility,
            source=photo.source,
            file_name=photo.file_name,
        ),
    )
    response = await parts.search.AcceptImages(search_pb2.AcceptImagesRequest(principal=principal, images=[new_image]))
    if not response.results:
        raise Unavailable("the catalogue did not say whether it accepted the image")
    return response.results[0]
