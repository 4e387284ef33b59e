"""Labels among some images, counted."""

from collections.abc import Sequence

from sqlalchemy import Connection, func, select

from kindred_search.catalogue.reading import CHUNK
from kindred_search.catalogue.tables import detections
from kindred_search.domain import LabelCount


def label_counts_among(connection: Connection, image_ids: Sequence[str]) -> list[LabelCount]:
    """Images and boxes of each class among these images (no id twice), most images first."""
    key = detections.c["label_set", "class_name"]
    counted = select(*key, func.count(detections.c.image_id.distinct()), func.count()).group_by(*key)
    totals: dict[tuple[str, str], tuple[int, int]] = {}
    for start in range(0, len(image_ids), CHUNK):
        among = detections.c.image_id.in_(image_ids[start : start + CHUNK])
        for row in connection.execute(counted.where(among)):
            before = totals.get((row[0], row[1]), (0, 0))
            totals[row[0], row[1]] = (before[0] + row[2], before[1] + row[3])
    found = [LabelCount(*of_class, *count) for of_class, count in totals.items()]
    return sorted(found, key=lambda count: (-count.images, count.label_set, count.class_name))
