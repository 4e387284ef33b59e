"""An image that passed the door: bytes to the object store first, then the record."""

from dataclasses import dataclass

from kindred.search.v1 import search_pb2
from kindred_gateway.door import CheckedImage
from kindred_gateway.licenses import GivenRights, merged
from kindred_gateway.parts import Parts
from kindred_kit.errors import Unavailable
from kindred_kit.generated import generation_message, origin_of
from kindred_kit.generated import merged as merged_generation
from kindred_kit.imaging import Generation


@dataclass(frozen=True)
class NewPhoto:
    """What the client said about an image; `origin` is empty where it said nothing of it."""

    rights: GivenRights
    source: str
    file_name: str
    visibility: search_pb2.Visibility.ValueType
    origin: str
    caption: str = ""
    generation: Generation | None = None


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
    generation = merged_generation(photo.generation, image.info.generation)
    origin = origin_of(photo.origin, generation)
    new_image = search_pb2.NewImage(
        image_id=image.image_id,
        blob_key=key,
        byte_size=len(image.data),
        width=image.info.width,
        height=image.info.height,
        format=image.info.format,
        origin=origin,
        taken_at=image.info.taken_at or "",
        claim=search_pb2.Claim(
            rights=merged(photo.rights, image.info.rights),
            visibility=photo.visibility,
            source=photo.source,
            file_name=photo.file_name,
            caption=photo.caption,
        ),
        generation=generation_message(origin, generation),
    )
    response = await parts.search.AcceptImages(search_pb2.AcceptImagesRequest(principal=principal, images=[new_image]))
    if not response.results:
        raise Unavailable("the catalogue did not say whether it accepted the image")
    return response.results[0]
