"""InvokeAI's `invokeai_metadata` (version 3 on) and `sd-metadata` (before)."""

from __future__ import annotations

from typing import Any

from kindred_kit.imaging.generation.bounded_json import parse_object
from kindred_kit.imaging.generation.record import Generation, generation

_MAX_PARTS = 100


def parse(metadata: str) -> Generation | None:
    """Of `invokeai_metadata`."""
    said = parse_object(metadata)
    if said is None or not {"positive_prompt", "generation_mode"} & said.keys():
        return None
    return generation(
        "invokeai",
        {
            "model": _model(said.get("model")),
            "prompt": said.get("positive_prompt"),
            "negative_prompt": said.get("negative_prompt"),
            "sampler": said.get("scheduler"),
            "seed": said.get("seed"),
            "steps": said.get("steps"),
            "guidance": said.get("cfg_scale"),
        },
    )


def parse_old(metadata: str) -> Generation | None:
    """Of `sd-metadata`. A negative prompt stands in square brackets there and stays part of the prompt."""
    said = parse_object(metadata)
    image = said.get("image") if said is not None else None
    if said is None or not isinstance(image, dict):
        return None
    return generation(
        "invokeai",
        {
            "model": said.get("model_weights") or said.get("model"),
            "prompt": _old_prompt(image.get("prompt")),
            "sampler": image.get("sampler"),
            "seed": image.get("seed"),
            "steps": image.get("steps"),
            "guidance": image.get("cfg_scale"),
        },
    )


def _model(said: Any) -> Any:
    return said.get("name") or said.get("model_name") if isinstance(said, dict) else said


def _old_prompt(said: Any) -> Any:
    if not isinstance(said, list):
        return said
    parts = [part.get("prompt") if isinstance(part, dict) else part for part in said[:_MAX_PARTS]]
    return " ".join(part for part in parts if isinstance(part, str))
