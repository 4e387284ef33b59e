"""From an order to an archive: every source of images."""

from support.dataset_service import DatasetService, direction, images_of, term
from support.search_service import SPACE

from kindred.datasets.v1 import datasets_pb2 as pb


async def test_a_list_of_ids(service: DatasetService) -> None:
    photos = [await service.photo(seed, direction(1, seed), boxes=[("dog", 0.9)]) for seed in range(5)]
    asked = [photo.image_id for photo in (photos[3], photos[0], photos[4])]
    dataset, manifest = await service.build(name="three", ids=pb.Ids(image_ids=asked))
    assert (dataset.state, dataset.images, dataset.boxes) == (pb.DATASET_STATE_DONE, 3, 3), dataset
    assert images_of(manifest) == asked
    archive = await service.archive(dataset)
    written = {archive.read(entry["path"]) for entry in manifest["files"] if "image_id" in entry}
    assert written == {photo.data for photo in (photos[3], photos[0], photos[4])}
    assert manifest["name"] == "three"
    assert not list((service.folder / "work").iterdir())


async def test_a_query_takes_the_nearest(service: DatasetService) -> None:
    photos = [await service.photo(seed, direction(1, seed / 10)) for seed in range(8)]
    query = pb.Query(terms=[term(direction(1))], space=SPACE, text="a dog")
    dataset, manifest = await service.build(query=query, size=3)
    assert set(images_of(manifest)) == {photo.image_id for photo in photos[:3]}
    assert manifest["made_from"]["query"] == "a dog"
    assert manifest["made_from"]["space"] == SPACE
    assert dataset.name == "dataset"
