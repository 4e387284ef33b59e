"""ComfyUI's graphs: `prompt`, what was run, and `workflow`, what was drawn on the screen.

A graph has any number of nodes of any make. The sampler is found by its links, all else by walking from it towards the
inputs until a node says it, the nearest first.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any

from kindred_kit.imaging.generation.bounded_json import parse_object
from kindred_kit.imaging.generation.record import Generation, generation

Inputs = dict[str, Any]
Graph = Mapping[str, Inputs]
"""Node id -> its inputs: values, or links [node id, slot]."""

_MAX_NODES = 5_000
_SAMPLED_BY = ("positive", "guider", "conditioning")
_TEXTS = ("text", "text_g", "text_l", "t5xxl", "clip_l", "string", "value", "prompt", "positive")
_MODELS = ("ckpt_name", "unet_name", "model_name")
# what the drawn graph holds as an unnamed list
_WIDGETS: dict[str, tuple[str, ...]] = {
    "KSampler": ("seed", "", "steps", "cfg", "sampler_name"),
    "KSamplerAdvanced": ("", "noise_seed", "", "steps", "cfg", "sampler_name"),
    "KSamplerSelect": ("sampler_name",),
    "RandomNoise": ("noise_seed",),
    "BasicScheduler": ("", "steps"),
    "CFGGuider": ("cfg",),
    "FluxGuidance": ("guidance",),
    "CLIPTextEncode": ("text",),
    "CheckpointLoaderSimple": ("ckpt_name",),
    "UNETLoader": ("unet_name",),
}


def parse(prompt: str) -> Generation | None:
    """Of the graph that was run. None where it is none."""
    said = parse_object(prompt)
    if said is None or len(said) > _MAX_NODES:
        return None
    graph: dict[str, Inputs] = {
        name: node["inputs"]
        for name, node in said.items()
        if isinstance(node, dict) and isinstance(node.get("class_type"), str) and isinstance(node.get("inputs"), dict)
    }
    return _of_graph(graph) if graph else None


def parse_workflow(workflow: str) -> Generation | None:
    """Of the graph that was drawn: only nodes whose settings' order is known say anything."""
    said = parse_object(workflow)
    nodes, links = (said.get("nodes"), said.get("links")) if said is not None else (None, None)
    if not isinstance(nodes, list) or not isinstance(links, list) or max(len(nodes), len(links)) > _MAX_NODES:
        return None
    sources = {
        link[0]: [str(link[1]), 0]
        for link in links
        if isinstance(link, list) and len(link) >= 4 and isinstance(link[0], int)
    }
    graph = {str(node.get("id")): _drawn(node, sources) for node in nodes if isinstance(node, dict)}
    return _of_graph(graph) if graph else None


def _drawn(node: Mapping[str, Any], sources: Mapping[int, list[Any]]) -> Inputs:
    kind, widgets, wired = node.get("type"), node.get("widgets_values"), node.get("inputs")
    found: Inputs = {}
    if isinstance(kind, str) and isinstance(widgets, list):
        found |= {name: value for name, value in zip(_WIDGETS.get(kind, ()), widgets, strict=False) if name}
    for entry in wired if isinstance(wired, list) else []:
        name, link = (entry.get("name"), entry.get("link")) if isinstance(entry, dict) else (None, None)
        if isinstance(name, str) and isinstance(link, int) and link in sources:
            found[name] = sources[link]
    return found


def _of_graph(graph: Graph) -> Generation:
    sampler = next((inputs for inputs in graph.values() if _is_sampler(inputs)), None)
    if sampler is None:
        return generation("comfyui", {})
    positive, negative = sampler, sampler
    if (guider := _linked(graph, sampler.get("guider"))) is not None:
        positive = negative = guider
    asked = positive.get("positive", positive.get("conditioning"))
    return generation(
        "comfyui",
        {
            "model": _nearest(graph, [sampler], _MODELS, str),
            "prompt": _text_behind(graph, asked),
            "negative_prompt": _text_behind(graph, negative.get("negative")),
            "sampler": _nearest(graph, [sampler], ("sampler_name",), str),
            "seed": _nearest(graph, [sampler], ("seed", "noise_seed"), int),
            "steps": _nearest(graph, [sampler], ("steps",), int),
            "guidance": _nearest(graph, [sampler], ("cfg", "guidance"), (int, float)),
        },
    )


def _is_sampler(inputs: Inputs) -> bool:
    """It takes noise or a seed, and says what to make of it."""
    seeded = {"seed", "noise_seed", "noise"} & inputs.keys()
    return bool(seeded) and any(_is_link(inputs.get(name)) for name in _SAMPLED_BY)


def _text_behind(graph: Graph, link: Any) -> Any:
    start = _linked(graph, link)
    return _nearest(graph, [start], _TEXTS, str) if start is not None else None


def _nearest(graph: Graph, start: Iterable[Inputs], names: tuple[str, ...], kind: type | tuple[type, ...]) -> Any:
    """The first value of one of `names` on the way back through the links, breadth first, each node once."""
    waiting = deque(start)
    seen = {id(inputs) for inputs in waiting}
    while waiting:
        inputs = waiting.popleft()
        for name in names:
            if isinstance(inputs.get(name), kind) and inputs[name] != "":
                return inputs[name]
        for value in inputs.values():
            further = _linked(graph, value)
            if further is not None and id(further) not in seen:
                seen.add(id(further))
                waiting.append(further)
    return None


def _linked(graph: Graph, value: Any) -> Inputs | None:
    return graph.get(str(value[0])) if _is_link(value) else None


def _is_link(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and isinstance(value[0], str | int)
