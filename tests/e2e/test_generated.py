"""A folder of generated images: found by model and prompt from the command line."""

from pathlib import Path

from PIL import Image, PngImagePlugin
from support.commands import CommandLine


def write_generated(path: Path, parameters: str, colour: str) -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text("parameters", parameters)
    Image.new("RGB", (96, 64), colour).save(path, "PNG", pnginfo=info)


def test_generated_images_are_found_by_model_and_prompt(command_line: CommandLine, tmp_path: Path) -> None:
    write_generated(tmp_path / "fox.png", "a red Fox\nSteps: 20, Seed: 7, Model: SDXL_base", "red")
    write_generated(tmp_path / "sea.png", "a blue sea\nSteps: 20, Seed: 8, Model: v1-5", "blue")
    Image.new("RGB", (96, 64), "grey").save(tmp_path / "photo.jpg")
    assert command_line.json("index", tmp_path)["indexed"] == 3

    def names(*arguments: str) -> set[str]:
        return {hit["file_name"] for hit in command_line.json("search", *arguments)["results"]}

    assert names("--model", "sdxl_BASE") == {"fox.png"}
    assert names("--prompt-contains", "fox red") == {"fox.png"}
    assert names("colour", "--model", "v1-5", "--model", "none") == {"sea.png"}
    assert names("--origin", "photo") == {"photo.jpg"}
    [hit] = command_line.json("search", "--model", "SDXL_base")["results"]
    assert (hit["generation"]["seed"], hit["rights"]["license"]) == (7, "unknown")
    assert "generation.prompt" in command_line.run("show", hit["id"][:12]).stdout
