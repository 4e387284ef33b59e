"""What a job over all images still has to do, and whose labels stand at the end."""

from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Engine
from support.databases import database_url
from support.search_service import SearchService, image_id, labels, new_image

from kindred.search.v1 import search_pb2 as pb
from kindred_kit.adapters.sql import version_table
from kindred_kit.errors import InvalidArgument
from kindred_search.catalogue import labelling
from kindred_search.catalogue.engine import MIGRATIONS, open_engine, reading, upgrade, writing

FLIP = "det/1 flip"


def lacking(run: str) -> pb.ListBacklogRequest:
    return pb.ListBacklogRequest(labels=pb.LabelRun(label_set="coco-80", run=run), limit=100)


async def waiting(service: SearchService, request: pb.ListBacklogRequest) -> set[str]:
    return {image.image_id for image in (await service.stub.ListBacklog(request)).images}


async def put(service: SearchService, name: str, run: str = "", seq: int = 1, boxes: Any = (("dog", 0.5),)) -> bool:
    request = pb.Derived(image_id=image_id(name), seq=seq, labels=[labels(boxes)])
    request.labels[0].run = run
    return (await service.stub.PutDerived(pb.PutDerivedRequest(images=[request]))).stale[0]


async def test_an_image_waits_until_its_labels_are_of_the_run(service: SearchService) -> None:
    for name in "abc":
        await service.add(name)  # without a single box: that, too, is a result
    await service.accept(new_image("not embedded"))
    assert await waiting(service, lacking("det/1")) == set()
    answer = await service.stub.ListBacklog(lacking(FLIP))
    assert (answer.waiting, answer.total) == (3, 3)
    assert [image.image_id for image in answer.images] == sorted(image_id(name) for name in "abc")
    assert {(image.seq, image.blob_key) for image in answer.images if image.image_id == image_id("a")} == {
        (1, new_image("a").blob_key)
    }
    await put(service, "a", FLIP, boxes=())
    answer = await service.stub.ListBacklog(lacking(FLIP))
    assert (answer.waiting, answer.total) == (2, 3)
    assert image_id("a") not in {image.image_id for image in answer.images}
    await service.delete("b")
    assert await waiting(service, lacking(FLIP)) == {image_id("c")}


async def test_pages_and_times(service: SearchService) -> None:
    for name in "abcd":
        await service.add(name)
    request = lacking(FLIP)
    request.limit = 3
    first = await service.stub.ListBacklog(request)
    request.after_id = first.images[-1].image_id
    second = await service.stub.ListBacklog(request)
    assert len(first.images) == 3
    assert len({image.image_id for page in (first, second) for image in page.images}) == 4
    since = lacking(FLIP)
    since.since_ms = (await service.record("a")).ingested_at_ms + 3_600_000
    assert await waiting(service, since) == set()


async def test_an_event_that_comes_again_does_not_undo_a_relabelling(service: SearchService) -> None:
    await service.add("a", boxes=[("dog", 0.9)])
    await put(service, "a", FLIP)
    assert not await put(service, "a")  # the embedder's message, delivered a second time
    [found] = (await service.record("a")).labels
    assert found.detection.score == 0.5
    assert await waiting(service, lacking(FLIP)) == set()
    await put(service, "a", "det/1 flip x0.75", boxes=[("car", 0.4)])
    [found] = (await service.record("a")).labels
    assert found.detection.class_name == "car"


async def test_an_image_that_comes_back_has_labels_of_ingest(service: SearchService) -> None:
    await service.add("a")
    await put(service, "a", FLIP)
    await service.delete("a")
    await service.accept(new_image("a"))
    await service.derive("a", seq=3, boxes=[("dog", 0.9)])
    await service.settle()
    [found] = (await service.record("a")).labels
    assert found.detection.score == pytest.approx(0.9)
    assert await waiting(service, lacking(FLIP)) == {image_id("a")}


async def test_a_detection_keeps_the_models_that_saw_it(service: SearchService) -> None:
    await service.add("a")
    request = pb.Derived(image_id=image_id("a"), seq=1, labels=[labels([("dog", 0.9), ("car", 0.5)])])
    run = request.labels[0]
    run.run, run.model_name, run.model_version = "det/1+other/2.0", "det+other", "1+2.0"
    run.detections[0].model, run.detections[0].source, run.detections[0].agreement = "det/1+other/2.0", "wbf", 2
    run.detections[1].model, run.detections[1].source = "other/2.0", "wbf"
    await service.stub.PutDerived(pb.PutDerivedRequest(images=[request]))
    dog, car = (await service.record("a")).labels
    assert (dog.model_name, dog.model_version, dog.detection.source, dog.detection.agreement) == (
        "det+other", "1+2.0", "wbf", 2,
    )  # fmt: skip
    assert (car.model_name, car.model_version, car.detection.agreement) == ("other", "2.0", 1)


async def test_runs_in_use(service: SearchService) -> None:
    for name in "abc":
        await service.add(name)
    await put(service, "a", FLIP)
    other = pb.Derived(image_id=image_id("b"), seq=1, labels=[labels([])])
    other.labels[0].label_set = "warehouse"
    await service.stub.PutDerived(pb.PutDerivedRequest(images=[other]))
    runs = await service.app.catalogue.read(labelling.runs_in_use)
    assert runs == {"coco-80": ["det/1", FLIP], "warehouse": ["det/1"]}


async def test_images_without_an_embedding_wait_for_one(service: SearchService) -> None:
    await service.add("a")
    await service.accept(new_image("b"), new_image("broken"))
    failure = pb.PutFailureRequest(image_id=image_id("broken"), seq=1, failure=pb.Failure(code="image_truncated"))
    await service.stub.PutFailure(failure)
    assert await waiting(service, pb.ListBacklogRequest(space="test/1", limit=10)) == {image_id("b")}
    assert await waiting(service, pb.ListBacklogRequest(space="new/1", limit=10)) == {image_id("a"), image_id("b")}


@pytest.mark.parametrize(
    "request_",
    [
        pb.ListBacklogRequest(limit=10),
        pb.ListBacklogRequest(space="s"),
        pb.ListBacklogRequest(space="s", limit=1_001),
        pb.ListBacklogRequest(labels=pb.LabelRun(label_set="coco-80"), limit=10),
        pb.ListBacklogRequest(labels=pb.LabelRun(label_set="NO SET", run="m/1"), limit=10),
    ],
)
async def test_bad_requests(service: SearchService, request_: pb.ListBacklogRequest) -> None:
    with pytest.raises(InvalidArgument):
        await service.stub.ListBacklog(request_)


async def test_galleries_of_before_know_their_runs(tmp_path: Path) -> None:
    """The migration reads them from the detections; an image without any is looked at once more."""
    async with SearchService(tmp_path) as service:
        await service.add("a", boxes=[("dog", 0.9), ("dog", 0.5)])
        await service.add("nothing on it")
    engine = open_engine(database_url(tmp_path / "catalogue.db"))
    _downgrade(engine, "0002")
    upgrade(engine)
    with reading(engine) as connection:
        [row] = connection.exec_driver_sql("SELECT image_id, label_set, run, asked, seq FROM label_runs").all()
    assert tuple(row) == (image_id("a"), "coco-80", "det/1", 0, 1)
    engine.dispose()


def _downgrade(engine: Engine, revision: str) -> None:
    with as_file(files(MIGRATIONS)) as folder, writing(engine) as connection:
        config = Config()
        config.set_main_option("script_location", str(folder))
        config.set_main_option("path_separator", "os")
        config.attributes.update(connection=connection, version_table=version_table(engine, MIGRATIONS))
        command.downgrade(config, revision)
