"""A gallery whose models have changed: refused with both names, brought over by `kindred reindex --embed`."""

import json
import subprocess
from pathlib import Path

import pytest
import yaml
from support.commands import CommandLine, environment, write_photos
from support.in_process import index, opened, search
from support.paths import MODELS

from kindred.embedder.v1 import embedder_pb2
from kindred.search.v1 import search_pb2 as pb
from kindred_kit.errors import SpaceMismatch
from kindred_kit.models import ModelSet
from kindred_standalone.connect import LOCAL, connect
from kindred_standalone.datadir import DataDirectory
from kindred_standalone.settings import StandaloneSettings

SHOTS = ["chelsea.png", "coffee.png", "rocket.jpg"]
A_CAT = [{"text": "a cat"}]


def with_another_space(folder: Path, space: str) -> Path:
    """The shipped models as if they embedded into another space."""
    for manifest in MODELS.glob("*/model.yaml"):
        model = folder / manifest.parent.name
        model.mkdir(parents=True)
        for entry in manifest.parent.iterdir():
            (model / entry.name).symlink_to(entry)
        (model / manifest.name).unlink()
        document = {**yaml.safe_load(manifest.read_text()), "space": space, "version": "other"}
        (model / manifest.name).write_text(yaml.safe_dump(document))
    return folder


async def test_a_gallery_is_brought_over_to_other_models(command_line: CommandLine, tmp_path: Path) -> None:
    photos = write_photos(tmp_path / "photos", SHOTS)
    async with opened(command_line.data_dir) as session:
        assert (await index(session, sorted(photos.iterdir()))).indexed == len(SHOTS)
    old = ModelSet.load(MODELS).of_kind("lite", "text_encoder").space
    changed = with_another_space(tmp_path / "models", "other-2")
    settings = environment(KINDRED_MODELS_DIR=str(changed))

    def kindred(*arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            command_line.command(*arguments), capture_output=True, text=True, timeout=240, env=settings
        )

    refused = kindred("serve", "--port", "0")
    assert refused.returncode == 1
    for said in (old, "other-2", "kindred reindex --embed"):
        assert said in refused.stderr
    assert "Traceback" not in refused.stderr
    with pytest.raises(SpaceMismatch, match="other-2"):
        async with opened(command_line.data_dir, models_dir=changed):
            pass

    (photos / "rocket.jpg").unlink()
    over = json.loads(kindred("reindex", "--embed", "--json").stdout)
    assert (over["images"], over["not_embedded"]) == (2, 1)
    async with opened(command_line.data_dir, models_dir=changed) as session:
        status = await session.node.search.GetStatus(pb.GetStatusRequest(principal=LOCAL))
        assert (status.space, status.images, status.indexed, status.index_rows) == ("other-2", 3, 2, 2)
        best, *_ = await search(session.node, query=A_CAT)
        assert best["file_name"] == "chelsea.png"
        # the image whose file was gone failed as any other, and may come back as any other
        write_photos(photos, ["rocket.jpg"])
        assert (await index(session, [photos / "rocket.jpg"])).indexed == 1

    # the models of before are the others now; their embeddings are still in the catalogue
    with pytest.raises(SpaceMismatch, match="other-2"):
        async with opened(command_line.data_dir):
            pass
    directory = DataDirectory.at(command_line.data_dir)
    async with connect(directory, StandaloneSettings(), any_space=True) as node:
        [*_, embedded] = [s async for s in node.embedder.EmbedBacklog(embedder_pb2.EmbedBacklogRequest())]
        assert (embedded.done, embedded.failed) == (len(SHOTS), 0)
        [*_, built] = [s async for s in node.search.Reindex(pb.ReindexRequest(space=embedded.space))]
        assert (built.done, built.finished) == (len(SHOTS), True)
        again, *_ = await search(node, query=A_CAT)
        assert again["id"] == best["id"]
