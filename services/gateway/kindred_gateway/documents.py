"""Bodies of the smaller routes, and how a route documents a body that it reads itself."""

from typing import Annotated, Any

from pydantic import BaseModel, Field, model_validator
from pydantic_core import PydanticCustomError

from kindred.detector.v1 import detector_pb2
from kindred_gateway.filters import StrictModel
from kindred_gateway.queries import MAX_TEXT_CHARS, ImageId, UploadId

MAX_TEXTS = 256


class RightsFields(StrictModel):
    license: str = Field(default="", max_length=50, description="cc0, pdm, by, by-sa, ... unknown")
    license_url: str = ""
    creator: str = ""
    source: str = Field(default="", description="A name for where the image came from")
    source_url: str = ""
    attribution: str = ""
    credit: str = ""
    caption: str = ""
    visibility: str = Field(default="public", pattern="^(public|private)$")
    origin: str = Field(
        default="", pattern="^(photo|generated)?$", description="Default: generated where a generator left its mark"
    )
    model: str = Field(default="", description="Of a generated image, as all that follows")
    prompt: str = ""
    negative_prompt: str = ""
    sampler: str = ""
    seed: str | int = Field(default="", description="0 to 2^64-1")
    steps: str | int = ""
    guidance: str | float | int = Field(default="", description="CFG scale")


class IngestBody(RightsFields):
    """An image behind a URL, with what is known of its rights; what the file itself says fills the gaps."""

    url: str = Field(min_length=1, description="http or https, on the public internet")


class UploadBody(StrictModel):
    url: str = Field(min_length=1, description="http or https, on the public internet")


class Augmentation(StrictModel):
    """Further looks at the image (test-time augmentation); what they see is fused."""

    flip: bool = Field(default=False, description="Also with left and right exchanged")
    scales: list[Annotated[float, Field(ge=0.5, le=2)]] = Field(
        default=[], max_length=3, description="Also smaller (0.5..1), or larger (1..2) in four overlapping parts"
    )


class DetectOptions(StrictModel):
    score_threshold: float | None = Field(default=None, ge=0, le=1, description="Default: the model's own")
    max_detections: int = Field(default=100, ge=1, le=300)
    classes: list[str] = Field(default=[], max_length=100, description="Keep only these; empty: all")
    nms_iou: float | None = Field(
        default=None, ge=0, le=1, description="Of two boxes of a class that overlap by more, the weaker goes"
    )
    tta: bool | Augmentation = Field(default=False, description="true: flip")
    models: list[str] = Field(
        default=[], max_length=3, description="Of one label set; several are fused. Default: the profile's"
    )

    def to_proto(self) -> detector_pb2.DetectRequest:
        tta = Augmentation(flip=self.tta) if isinstance(self.tta, bool) else self.tta
        return detector_pb2.DetectRequest(
            score_threshold=self.score_threshold,
            max_detections=self.max_detections,
            classes=self.classes,
            nms_iou=self.nms_iou,
            augmentation=detector_pb2.Augmentation(flip=tta.flip, scales=tta.scales),
            models=self.models,
        )


class DetectBody(DetectOptions):
    """Exactly one of image_id and upload_id; a file goes as multipart/form-data."""

    image_id: ImageId | None = None
    upload_id: UploadId | None = None

    @model_validator(mode="after")
    def _one_source(self) -> "DetectBody":
        if (self.image_id is None) == (self.upload_id is None):
            raise PydanticCustomError("one_source", "exactly one of image_id and upload_id is needed")
        return self


class LabelRequestBody(StrictModel):
    class_name: str = Field(alias="class", min_length=1, max_length=200, description="At most 100 characters")


class EmbedBody(StrictModel):
    texts: list[str] = Field(min_length=1, max_length=MAX_TEXTS)

    @model_validator(mode="after")
    def _readable(self) -> "EmbedBody":
        for index, text in enumerate(self.texts):
            if not text.strip() or len(text) > MAX_TEXT_CHARS:
                raise PydanticCustomError(
                    "text_length",
                    "text {index} is blank or longer than {most} characters",
                    {"index": index, "most": MAX_TEXT_CHARS},
                )
        return self


def request_body(json_model: type[BaseModel] | None, form_fields: dict[str, Any] | None = None) -> dict[str, Any]:
    """`openapi_extra` of a route that reads a JSON model, or a form of `file` and `form_fields`, or either."""
    content: dict[str, Any] = {}
    if json_model is not None:
        content["application/json"] = {"schema": {"$ref": f"#/components/schemas/{json_model.__name__}"}}
    if form_fields is not None:
        file = {"type": "string", "contentMediaType": "application/octet-stream"}
        content["multipart/form-data"] = {
            "schema": {"type": "object", "required": ["file"], "properties": {"file": file, **form_fields}}
        }
    return {"requestBody": {"required": True, "content": content}}


def text_fields(*names: str) -> dict[str, Any]:
    return {name: {"type": "string"} for name in names}
