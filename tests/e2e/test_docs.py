"""What the documents tell a reader to run, run as it stands there."""

import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.paths import ROOT
from support.photos import skimage_photo

from kindred_datasets.settings import DatasetSettings
from kindred_detector.settings import DetectorSettings
from kindred_embedder.settings import EmbedderSettings
from kindred_gateway.settings import GatewaySettings
from kindred_kit.imaging import ImageLimits
from kindred_kit.process import ProcessSettings
from kindred_search.settings import SearchSettings
from kindred_standalone.settings import StandaloneSettings


def test_the_grpc_client_of_the_guide(tmp_path: Path) -> None:
    [client] = re.findall(r"```python\n(# save as client\.py.*?)```", (ROOT / "docs/grpc.md").read_text(), re.DOTALL)
    (tmp_path / "client.py").write_text(client)
    photos, data_dir = tmp_path / "photos", tmp_path / "data"
    photos.mkdir()
    for name in ("coffee.png", "chelsea.png", "rocket.jpg"):
        (photos / name).write_bytes(skimage_photo(name))
    kindred = [sys.executable, "-m", "kindred_standalone", "--data-dir", str(data_dir)]
    subprocess.run([*kindred, "index", str(photos)], check=True, capture_output=True, timeout=120)
    server = subprocess.Popen([*kindred, "serve", "--port", "0"], stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while not (data_dir / "owner.json").exists():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        command = [sys.executable, "client.py", str(data_dir), "a cup of coffee"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines()[0].endswith("coffee.png")
    finally:
        server.terminate()
        server.wait(timeout=60)


@pytest.mark.parametrize(
    "document", sorted(str(path.relative_to(ROOT)) for path in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
)
def test_links_between_documents_lead_somewhere(document: str) -> None:
    path = ROOT / document
    targets = re.findall(r"\]\((?!https?:|#)([^)#]+)", path.read_text())
    missing = [target for target in targets if not (path.parent / target).exists()]
    assert missing == []


def test_every_make_target_of_the_readme_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"\bmake ([a-z-]+)", (ROOT / "README.md").read_text()))
    assert {"demo", "test", "up"} <= named
    assert named <= targets


def test_every_documented_setting_exists() -> None:
    classes = (
        DatasetSettings,
        ProcessSettings,
        StandaloneSettings,
        GatewaySettings,
        SearchSettings,
        EmbedderSettings,
        DetectorSettings,
    )
    known = {f"KINDRED_{name.upper()}" for cls in classes for name in cls.model_fields} | {"KINDRED_DATA_DIR"}
    named = set(re.findall(r"`(KINDRED_[A-Z_]+)`", (ROOT / "docs/configuration.md").read_text()))
    assert len(named) > 20
    assert named <= known


def test_the_documented_defaults_are_the_real_ones() -> None:
    text = (ROOT / "docs/configuration.md").read_text()
    for name in ("max_image_bytes", "max_image_pixels", "max_json_bytes", "upload_ttl_s", "max_query_terms"):
        [default] = re.findall(rf"`KINDRED_{name.upper()}` \| (\d+)", text)
        assert int(default) == GatewaySettings.model_fields[name].default
    assert EmbedderSettings().limits == GatewaySettings().image_limits == DetectorSettings().limits == ImageLimits()
