"""How an image was generated, read from what generators write into files, and from what hostile files claim."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from PIL import Image, PngImagePlugin

from kindred_kit.imaging import Generation, ImageLimits, probe
from kindred_kit.imaging.generation import automatic1111, comfyui, invokeai
from kindred_kit.imaging.generation.user_comment import decode_comment

Encode = Callable[..., bytes]
PARAMETERS = (
    "a castle in the mist,\noil on canvas\nNegative prompt: blurry, text\n"
    "Steps: 20, Sampler: DPM++ 2M Karras, CFG scale: 7.5, Seed: 3735928559, Size: 512x768, Model hash: 6ce0161689, "
    'Model: v1-5-pruned, Lora hashes: "one: 1, two: 2", Version: v1.6.0'
)
CASTLE = Generation(
    tool="automatic1111",
    model="v1-5-pruned",
    prompt="a castle in the mist, oil on canvas",
    negative_prompt="blurry, text",
    sampler="DPM++ 2M Karras",
    seed=3735928559,
    steps=20,
    guidance=7.5,
)
GRAPH = {
    "3": {
        "class_type": "KSampler",
        "inputs": {
            "seed": 2**63 + 5,
            "steps": 30,
            "cfg": 8,
            "sampler_name": "euler",
            "model": ["10", 0],
            "positive": ["6", 0],
            "negative": ["7", 0],
            "latent_image": ["5", 0],
        },
    },
    "4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "sdxl\\base_1.0.safetensors"}},
    "5": {"class_type": "EmptyLatentImage", "inputs": {"width": 512, "height": 512}},
    "6": {"class_type": "CLIPTextEncode", "inputs": {"text": ["8", 0], "clip": ["4", 1]}},
    "7": {"class_type": "CLIPTextEncode", "inputs": {"text": "ugly", "clip": ["4", 1]}},
    "8": {"class_type": "PrimitiveString", "inputs": {"value": "a fox in snow"}},
    "9": {"class_type": "SaveImage", "inputs": {"images": ["3", 0]}, "is_changed": [float("nan")]},
    "10": {"class_type": "LoraLoader", "inputs": {"lora_name": "style.safetensors", "model": ["4", 0]}},
}
FOX = Generation("comfyui", "base_1.0", "a fox in snow", "ugly", "euler", 2**63 + 5, 30, 8.0)
WORKFLOW = {
    "nodes": [
        {
            "id": 1,
            "type": "KSampler",
            "widgets_values": [7, "randomize", 12, 5.5, "ddim", "normal", 1],
            "inputs": [{"name": "positive", "link": 1}, {"name": "negative", "link": 2}, {"name": "model", "link": 3}],
        },
        {"id": 2, "type": "CLIPTextEncode", "widgets_values": ["a red boat"], "inputs": []},
        {"id": 3, "type": "CLIPTextEncode", "widgets_values": ["fog"]},
        {"id": 4, "type": "CheckpointLoaderSimple", "widgets_values": ["sea.ckpt"]},
    ],
    "links": [[1, 2, 0, 1, 0, "CONDITIONING"], [2, 3, 0, 1, 1, "CONDITIONING"], [3, 4, 0, 1, 2, "MODEL"]],
}
FLUX = {
    "a": {
        "class_type": "SamplerCustomAdvanced",
        "inputs": {"noise": ["n", 0], "guider": ["g", 0], "sampler": ["k", 0], "sigmas": ["s", 0]},
    },
    "n": {"class_type": "RandomNoise", "inputs": {"noise_seed": 11}},
    "g": {"class_type": "BasicGuider", "inputs": {"model": ["u", 0], "conditioning": ["f", 0]}},
    "f": {"class_type": "FluxGuidance", "inputs": {"guidance": 3.5, "conditioning": ["t", 0]}},
    "t": {"class_type": "CLIPTextEncode", "inputs": {"text": "a glass apple"}},
    "k": {"class_type": "KSamplerSelect", "inputs": {"sampler_name": "euler"}},
    "s": {"class_type": "BasicScheduler", "inputs": {"steps": 4}},
    "u": {"class_type": "UNETLoader", "inputs": {"unet_name": "flux1-dev.safetensors"}},
}
INVOKE = {
    "generation_mode": "txt2img",
    "positive_prompt": "a heron",
    "negative_prompt": "",
    "model": {"key": "x", "name": "Dreamshaper 8"},
    "seed": 1,
    "steps": 28,
    "cfg_scale": 6,
    "scheduler": "dpmpp_2m_k",
}
OLD_INVOKE = {
    "model": "stable diffusion",
    "model_weights": "sd-1.4",
    "image": {
        "prompt": [{"prompt": "a lighthouse", "weight": 1}],
        "steps": 50,
        "cfg_scale": 7.5,
        "seed": 9,
        "sampler": "k_lms",
    },
}
APPLE = Generation("comfyui", "flux1-dev", "a glass apple", "", "euler", 11, 4, 3.5)


def png(picture: Image.Image, encode: Encode, **texts: str) -> bytes:
    info = PngImagePlugin.PngInfo()
    for name, value in texts.items():
        info.add_itxt(name.replace("_", "-") if name == "sd_metadata" else name, value)
    return encode(picture, "PNG", pnginfo=info)


def exif_bytes(comment: bytes) -> bytes:
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9286] = comment
    return exif.tobytes()


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ({"parameters": PARAMETERS}, CASTLE),
        ({"prompt": json.dumps(GRAPH), "workflow": json.dumps(WORKFLOW)}, FOX),
        ({"prompt": json.dumps(FLUX)}, APPLE),
        ({"workflow": json.dumps(WORKFLOW)}, Generation("comfyui", "sea", "a red boat", "fog", "ddim", 7, 12, 5.5)),
        (
            {"invokeai_metadata": json.dumps(INVOKE)},
            Generation("invokeai", "Dreamshaper 8", "a heron", "", "dpmpp_2m_k", 1, 28, 6.0),
        ),
        (
            {"sd_metadata": json.dumps(OLD_INVOKE)},
            Generation("invokeai", "sd-1.4", "a lighthouse", "", "k_lms", 9, 50, 7.5),
        ),
    ],
)
def test_text_chunks_of_each_program(
    picture: Image.Image, encode: Encode, texts: dict[str, str], expected: Generation
) -> None:
    assert probe(png(picture, encode, **texts), ImageLimits()).generation == expected


@pytest.mark.parametrize(
    "comment",
    [
        b"UNICODE\x00" + PARAMETERS.encode("utf-16-be"),
        b"UNICODE\x00" + PARAMETERS.encode("utf-16-le"),
        b"UNICODE\x00\xff\xfe" + PARAMETERS.encode("utf-16-le"),
        b"ASCII\x00\x00\x00" + PARAMETERS.encode(),
        b"\x00" * 8 + PARAMETERS.encode(),
    ],
)
@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
def test_user_comments_in_each_encoding(picture: Image.Image, encode: Encode, comment: bytes, kind: str) -> None:
    data = encode(picture, kind, exif=exif_bytes(comment))
    assert probe(data, ImageLimits()).generation == CASTLE


def test_comfyui_in_the_tags_of_a_webp(picture: Image.Image, encode: Encode) -> None:
    exif = Image.Exif()
    exif[0x010F] = "prompt:" + json.dumps(GRAPH)
    assert probe(encode(picture, "WEBP", exif=exif.tobytes()), ImageLimits()).generation == FOX


@pytest.mark.parametrize(
    ("texts", "comment"),
    [
        ({}, b""),
        ({"parameters": "exposure 1/60"}, b""),
        ({"prompt": "what a nice day", "workflow": "[]"}, b""),
        ({"prompt": '{"a": {"inputs": {}}}'}, b""),
        ({}, b"ASCII\x00\x00\x00taken near the lake"),
        ({}, b'ASCII\x00\x00\x00{"model": "EOS R5", "lens": "50mm"}'),
        ({"Software": "GIMP", "Comment": PARAMETERS}, b""),
    ],
)
def test_a_photo_with_texts_is_none(
    picture: Image.Image, encode: Encode, texts: dict[str, str], comment: bytes
) -> None:
    data = png(picture, encode, **texts) if not comment else encode(picture, "JPEG", exif=exif_bytes(comment))
    assert probe(data, ImageLimits()).generation is None


def test_the_prompt_may_hold_what_looks_like_settings() -> None:
    found = automatic1111.parse("Steps: 5 of a dance\nNegative prompt: x\nSteps: 20, Seed: 1")
    assert found is not None
    assert (found.prompt, found.negative_prompt, found.steps) == ("Steps: 5 of a dance", "x", 20)
    only_negative = automatic1111.parse("Negative prompt: blurry\nSteps: 3")
    assert only_negative is not None
    assert (only_negative.prompt, only_negative.negative_prompt) == ("", "blurry")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Seed", "-1"), ("Seed", "9" * 30), ("Seed", "1e5"), ("Seed", "0x10"), ("Seed", str(2**64)), ("Seed", "１２x"),
        ("CFG scale", "nan"), ("CFG scale", "inf"), ("CFG scale", "-3"), ("CFG scale", "9" * 50),
    ],
)  # fmt: skip
def test_numbers_that_are_none_are_not_said(name: str, value: str) -> None:
    found = automatic1111.parse(f"x\nSteps: 20, {name}: {value}")
    assert found == Generation("automatic1111", prompt="x", steps=20)


HOSTILE: list[Any] = [
    {**GRAPH, "3": {"class_type": "KSampler", "inputs": {"seed": True, "steps": "x", "positive": ["3", 0], "cfg": {}}}},
    {"3": {"class_type": "K", "inputs": {"seed": 1, "positive": ["3", 0], "model": ["3", 0], "negative": ["9", 0]}}},
    {"3": {"class_type": ["KSampler"], "inputs": {}}, "4": 7, "5": None},
    {"3": {"class_type": "KSampler", "inputs": {"seed": 1, "positive": [{}, 0], "model": [[], []]}}},
    {"nodes": [{"id": {}, "type": [], "widgets_values": {}, "inputs": 4}, 5], "links": [[{}, 1, 2, 3], "x", [1]]},
    {"nodes": [], "links": []},
    {"image": {"prompt": [1, {"prompt": 5}, None], "seed": "x"}, "model_weights": ["a"]},
    {"positive_prompt": ["a"], "model": {"name": {"x": 1}}, "seed": [1], "steps": True},
]  # fmt: skip


@pytest.mark.parametrize("said", HOSTILE)
def test_other_types_than_expected_harm_nothing(said: Any) -> None:
    text = json.dumps(said)
    for parse in (comfyui.parse, comfyui.parse_workflow, invokeai.parse, invokeai.parse_old):
        found = parse(text)
        assert found is None or (found.steps is None and isinstance(found.prompt, str))


@pytest.mark.parametrize(
    "text",
    [
        "{" * 100_000,
        '{"a":' * 5_000 + "1" + "}" * 5_000,
        "[" * 100_000,
        '{"a": ' + "9" * 200_000 + "}",
        '{"a": "' + "x" * 400_000 + '"}',
        json.dumps({str(n): {"class_type": "KSampler", "inputs": {"positive": [str(n + 1), 0]}} for n in range(6_000)}),
        "Steps: 1, " + "a " * 50_000,
        "Steps: 1\n" * 50_000,
        'Steps: 1, x: "' + '\\"' * 50_000,
    ],
)
def test_bombs_end(text: str) -> None:
    for parse in (automatic1111.parse, comfyui.parse, comfyui.parse_workflow, invokeai.parse, invokeai.parse_old):
        found = parse(text)
        assert found is None or len(found.prompt) <= 10_000


def test_a_long_chain_of_nodes_is_walked_once() -> None:
    chain = {
        str(n): {"class_type": "Reroute", "inputs": {"a": [str(n + 1), 0], "b": [str(n + 1), 0]}} for n in range(2_000)
    }
    chain["2000"] = {"class_type": "CLIPTextEncode", "inputs": {"text": "far away"}}
    graph = {"k": {"class_type": "KSampler", "inputs": {"seed": 1, "positive": ["0", 0]}}, **chain}
    found = comfyui.parse(json.dumps(graph))
    assert found is not None
    assert found.prompt == "far away"


def test_texts_are_clean_and_bounded() -> None:
    found = automatic1111.parse("a\u202eb\x1b[31m" + "c" * 20_000 + "\nSteps: 1, Model: ../../etc/passwd.ckpt")
    assert found is not None
    assert found.prompt.startswith("ab[31mccc")
    assert len(found.prompt) == 10_000
    assert found.model == "passwd"


@pytest.mark.parametrize(
    "value", [None, 7, b"", b"ASCII", b"JIS\x00\x00\x00\x00\x00abc", b"UNICODE\x00", b"UNICODE\x00a"]
)
def test_comments_without_a_text(value: Any) -> None:
    assert decode_comment(value).strip("\ufffd") == ""
