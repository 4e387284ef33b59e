"""How an image was generated, as an uploader says it."""

from typing import TypeVar

from kindred_gateway.documents import RightsFields
from kindred_gateway.licenses import checked_text
from kindred_gateway.problems import FieldError, RequestInvalid
from kindred_kit.generated import PHOTO
from kindred_kit.imaging import Generation
from kindred_kit.imaging.generation import record

T = TypeVar("T", int, float)

_TEXTS = {
    "model": record.MAX_NAME_CHARS,
    "sampler": record.MAX_NAME_CHARS,
    "prompt": record.MAX_PROMPT_CHARS,
    "negative_prompt": record.MAX_PROMPT_CHARS,
}


def checked_generation(fields: RightsFields) -> Generation | None:
    """None where nothing is said. Raises RequestInvalid, also where a photo is said to be generated."""
    said = Generation(
        **{name: checked_text(name, getattr(fields, name), most) for name, most in _TEXTS.items()},
        seed=_number("seed", fields.seed, record.whole(fields.seed, record.MAX_SEED)),
        steps=_number("steps", fields.steps, record.whole(fields.steps, record.MAX_STEPS)),
        guidance=_number("guidance", fields.guidance, record.number(fields.guidance, record.MAX_GUIDANCE)),
    )
    if not said:
        return None
    if fields.origin == PHOTO:
        raise RequestInvalid([FieldError("/origin", "value_invalid", "a photo has no model, prompt or seed")])
    return said


def _number(name: str, said: str | float, understood: T | None) -> T | None:
    if said != "" and understood is None:
        raise RequestInvalid([FieldError(f"/{name}", "value_invalid", "not a number in its range")])
    return understood
