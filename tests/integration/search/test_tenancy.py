"""What one account says, keeps private or deletes, another does not notice."""

import pytest
from support.search_service import SearchService, image_id, new_image, vector

from kindred.search.v1 import search_pb2 as pb
from kindred_kit.errors import CursorInvalid, ImageNotFound

PRIVATE = pb.VISIBILITY_PRIVATE


def licensed(*names: str, operator: pb.Operator.ValueType = pb.OPERATOR_IN) -> pb.Filter:
    values = [pb.Value(text=name) for name in names]
    return pb.Filter(conditions=[pb.Condition(field="license", operator=operator, values=values)])


async def test_a_private_image_exists_for_its_owner_alone(service: SearchService) -> None:
    ident = await service.add("cat", owner="ann", visibility=PRIVATE, boxes=[("dog", 0.9)])
    assert await service.ids("cat", owner="ann") == [ident]
    assert await service.ids("cat", owner="bob") == []
    assert await service.record("cat", owner="bob") is None
    assert await service.state("cat", owner="bob") == 0
    assert await service.delete("cat", owner="bob") == []
    status = await service.status("bob")
    assert (status.images, status.indexed, status.claims) == (0, 0, 0)
    labels = await service.stub.ListLabels(pb.ListLabelsRequest(principal=pb.Principal(owner="bob")))
    assert list(labels.labels) == []
    with pytest.raises(ImageNotFound):
        await service.search("cat", owner="bob", terms=[pb.Term(image_id=ident, weight=1)])
    assert [
        hit.image_id for hit in (await service.search("x", owner="ann", terms=[pb.Term(image_id=ident, weight=1)])).hits
    ]


async def test_accepting_what_another_keeps_private_tells_nothing_of_it(service: SearchService) -> None:
    await service.add(
        "cat", owner="ann", visibility=PRIVATE, creator="Ann", file_name="secret.jpg", license="proprietary"
    )
    [result] = await service.accept(new_image("cat", license="cc0", visibility=PRIVATE), owner="bob")
    assert result.created
    await service.settle()
    record = await service.record("cat", owner="bob")
    assert record is not None
    assert (record.rights.license, record.rights.creator, record.file_name) == ("cc0", "", "cat.jpg")
    assert await service.ids("cat", owner="bob") == [image_id("cat")]
    assert len(await service.published()) == 1  # nothing is embedded again


async def test_everyone_sees_the_own_rights_first_then_public_ones(service: SearchService) -> None:
    await service.add("cat", owner="ann", license="by", creator="Ann")
    await service.accept(new_image("cat", license="proprietary", creator="Bob", visibility=PRIVATE), owner="bob")
    await service.accept(new_image("cat", license="cc0", creator="Cem"), owner="cem")
    await service.settle()
    seen = {owner: await service.record("cat", owner) for owner in ("ann", "bob", "cem", "dan")}
    creators = {owner: record.rights.creator for owner, record in seen.items() if record is not None}
    assert creators == {"ann": "Ann", "bob": "Bob", "cem": "Cem", "dan": "Ann"}  # Dan: the oldest public claim
    assert [record.own for record in seen.values() if record is not None] == [True, True, True, False]


async def test_a_licence_filter_looks_at_the_rights_that_are_shown(service: SearchService) -> None:
    ident = await service.add("cat", owner="ann", license="by")
    await service.accept(new_image("cat", license="proprietary", visibility=PRIVATE), owner="bob")
    await service.accept(new_image("cat", license="cc0"), owner="cem")
    await service.settle()
    expected = {"ann": "by", "bob": "proprietary", "cem": "cc0", "dan": "by"}
    for owner, shown in expected.items():
        for name in ("by", "proprietary", "cc0"):
            found = await service.ids("cat", owner=owner, filter=licensed(name))
            assert found == ([ident] if name == shown else []), (owner, name)
            others = licensed(name, operator=pb.OPERATOR_NOT_IN)
            assert await service.ids("cat", owner=owner, filter=others) == ([] if name == shown else [ident])


async def test_a_deletion_is_the_deleting_owners_own(service: SearchService) -> None:
    ident = await service.add("cat", owner="ann")
    await service.accept(new_image("cat", visibility=PRIVATE), owner="bob")
    assert await service.delete("cat", owner="ann") == [ident]
    await service.settle()
    assert await service.ids("cat", owner="ann") == []
    assert await service.ids("cat", owner="bob") == [ident]
    assert await service.blobs.head(new_image("cat").blob_key) is not None
    [event] = await service.published()
    assert event.seq == 1  # no deletion of the content
    assert await service.delete("cat", owner="bob") == [ident]
    await service.settle()
    assert await service.blobs.head(new_image("cat").blob_key) is None


async def test_making_an_image_private_hides_it(service: SearchService) -> None:
    await service.add("cat", owner="ann")
    assert await service.ids("cat", owner="bob") == [image_id("cat")]
    await service.accept(new_image("cat", visibility=PRIVATE), owner="ann")
    # before the index knows: the catalogue decides
    assert await service.ids("cat", owner="bob") == []
    await service.settle()
    assert await service.ids("cat", owner="bob") == []
    assert await service.ids("cat", owner="ann") == [image_id("cat")]


async def test_owners_whose_names_begin_alike_are_strangers(service: SearchService) -> None:
    await service.add("cat", owner="ann", visibility=PRIVATE)
    for owner in ("an", "anna", "ann-", "ann_", "o"):
        assert await service.ids("cat", owner=owner) == []


async def test_labels_are_counted_over_what_the_principal_sees(service: SearchService) -> None:
    await service.add("a", owner="ann", boxes=[("dog", 0.9), ("dog", 0.8), ("car", 0.5)])
    await service.add("b", owner="bob", boxes=[("dog", 0.9)])
    await service.add("c", owner="bob", boxes=[("dog", 0.9), ("bus", 0.9)], visibility=PRIVATE)

    async def counted(owner: str) -> list[tuple[str, int, int]]:
        response = await service.stub.ListLabels(pb.ListLabelsRequest(principal=pb.Principal(owner=owner)))
        return [(label.class_name, label.images, label.boxes) for label in response.labels]

    assert await counted("ann") == [("dog", 2, 3), ("car", 1, 1)]
    assert await counted("bob") == [("dog", 3, 4), ("bus", 1, 1), ("car", 1, 1)]


async def test_a_cursor_of_another_account_is_refused(service: SearchService) -> None:
    for name in "abc":
        await service.add(name, owner="ann")
    page = await service.search("a", owner="ann", limit=1)
    with pytest.raises(CursorInvalid, match="another account"):
        await service.search(vector("a"), owner="bob", limit=1, cursor=page.next_cursor)
