"""Train and validation parts, by groups of near copies. Pure."""

import hashlib
from collections import defaultdict
from collections.abc import Sequence

from kindred_datasets.domain import Split


def split_of(image_ids: Sequence[str], groups: Sequence[int], val_share: float, seed: int) -> list[Split]:
    """The split of each image; a group never lies in both.

    Groups in the order of a seeded hash of their first id (by id, not by rank) go to validation until it has its share,
    so that the split hangs on the images alone, not on their order. With a share above 0 and two groups or more neither
    part is empty.
    """
    members: dict[int, list[str]] = defaultdict(list)
    for image_id, group in zip(image_ids, groups, strict=True):
        members[group].append(image_id)
    order = sorted(members, key=lambda group: _drawn(min(members[group]), seed))
    wanted = round(val_share * len(image_ids)) if val_share else 0
    if val_share and len(members) > 1:
        wanted = max(1, wanted)
    validation: set[int] = set()
    count = 0
    for group in order[:-1]:  # the last one is for training
        if count >= wanted:
            break
        # a large group that overshoots by more than it fills is left to training
        if count and count + len(members[group]) - wanted > wanted - count:
            continue
        validation.add(group)
        count += len(members[group])
    return ["val" if group in validation else "train" for group in groups]


def _drawn(image_id: str, seed: int) -> bytes:
    return hashlib.sha256(f"{seed}:{image_id}".encode()).digest()
