"""Labels of an image by label set, and the runs that made them."""

from sqlalchemy import Connection, bindparam, delete, insert, select

from kindred_search.catalogue import rows
from kindred_search.catalogue.engine import upsert
from kindred_search.catalogue.tables import detections, label_runs
from kindred_search.domain import LabelRun

# run for every image: putting a statement together costs more than SQLite needs to run it
_DELETE = delete(detections).where(
    detections.c.image_id == bindparam("of_image"), detections.c.label_set == bindparam("of_set")
)
_INSERT = insert(detections)
_ASKED = select(label_runs.c.asked).where(
    label_runs.c.image_id == bindparam("of_image"),
    label_runs.c.label_set == bindparam("of_set"),
    label_runs.c.seq == bindparam("of_seq"),
)


def replace_labels(connection: Connection, image_id: str, seq: int, run: LabelRun) -> None:
    """Put the labels of a run in the place of the set's old ones.

    An event of ingest may come a second time, after a relabelling of the same image: it changes nothing then.
    """
    if not run.asked and _was_asked(connection, image_id, seq, run.label_set):
        return
    connection.execute(_DELETE, {"of_image": image_id, "of_set": run.label_set})
    if run.detections:
        found_rows = [rows.detection_values(image_id, n, found) for n, found in enumerate(run.detections)]
        connection.execute(_INSERT, found_rows)
    values = {"image_id": image_id, "label_set": run.label_set, "run": run.run, "asked": run.asked, "seq": seq}
    upsert(connection, label_runs, [values])


def runs_in_use(connection: Connection) -> dict[str, list[str]]:
    """Label set -> the runs that its labels are of. One look into an index for each run, however many images."""
    found: dict[str, list[str]] = {}
    key = label_runs.c["label_set", "run"]
    query = select(*key).order_by(*key).limit(1)
    row = connection.execute(query).first()
    while row is not None:
        found.setdefault(row.label_set, []).append(row.run)
        after = (label_runs.c.label_set == row.label_set) & (label_runs.c.run > row.run)
        following = connection.execute(query.where(after)).first()
        row = following or connection.execute(query.where(label_runs.c.label_set > row.label_set)).first()
    return found


def _was_asked(connection: Connection, image_id: str, seq: int, label_set: str) -> bool:
    return bool(connection.execute(_ASKED, {"of_image": image_id, "of_set": label_set, "of_seq": seq}).scalar())
