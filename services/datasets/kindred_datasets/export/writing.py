"""The contents of an export, in the order in which they are written."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kindred_datasets.domain import Item, Note
from kindred_datasets.export import attribution, manifest, preview, readme
from kindred_datasets.export.destination import Destination
from kindred_datasets.export.files import Files
from kindred_datasets.export.formats import Form
from kindred_datasets.export.formats.layouts import layout
from kindred_datasets.export.images import suffix_of
from kindred_datasets.export.loading import Loaded
from kindred_datasets.export.names import Names
from kindred_datasets.export.survey import Survey
from kindred_kit.errors import DatasetEmpty


@dataclass(frozen=True)
class ExportSpec:
    """What is to be written.

    `classes` come first, in this order and whether they occur or not; further classes of the items follow by name.
    `facts` (JSON values: query, models, thresholds ...) go into the manifest as they are; a resumed build gives the
    same. `notes` of the selection stand in the manifest before those of the export. `link_of` gives an image's URL:
    with it the data set holds links and no image files.
    """

    name: str
    form: Form
    classes: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    notes: Sequence[Note] = ()
    link_of: Callable[[Item], str] | None = None


class Writing:
    """Blocking, in one thread; what is kept in memory does not grow with the images, but for their names."""

    def __init__(self, spec: ExportSpec, known: Survey, destination: Destination) -> None:
        self._spec = spec
        self._classes = known.classes
        self._files = Files(destination)
        self._layout = layout(spec.form, self._files, spec.name, known.classes, known.licenses)
        self._names = Names()
        self._attribution = self._files.spool("attribution")
        self._attribution.write(attribution.header())
        self._links = self._files.spool("links")
        self._links.write(_csv_line("path", "url", "sha256", "bytes"))
        self.preview = preview.Preview(known.images)
        self.counts = manifest.Counts()
        self.notes: list[Note] = []
        self._files.write(readme.PATH, readme.text(spec.form, links=spec.link_of is not None).encode())

    def add(self, batch: Sequence[Loaded]) -> None:
        """Raises OSError."""
        for loaded in batch:
            if loaded.note is None:
                self._add(loaded)
            else:
                self.notes.append(loaded.note)

    def finish(self) -> str:
        """Write what stands at the end; answers the SHA-256 of the manifest. Raises OSError, DatasetEmpty."""
        spec = self._spec
        if not self.counts.images:
            raise DatasetEmpty(self._why_empty())
        self._layout.finish()
        self._files.take("attribution.csv", self._attribution)
        if spec.link_of is not None:
            self._files.take("links.csv", self._links)
        page = self.preview.render(spec.name, spec.form, self._classes, self.counts, spec.facts)
        self._files.write(preview.PATH, page.encode())
        notes = [*spec.notes, *self.notes]
        links = spec.link_of is not None
        head = manifest.head(spec.name, spec.form, self._classes, self.counts, spec.facts, notes, links=links)
        return self._files.write_manifest(manifest.PATH, head)

    def close(self) -> None:
        self._files.close()

    def _add(self, loaded: Loaded) -> None:
        item, image = loaded.item, loaded.image
        suffix = suffix_of(item.format) if image is None else image.suffix
        name = self._names.stem(item.file_name, item.image_id) + suffix
        path = self._layout.image_path(item.split, name)
        link = self._spec.link_of(item) if self._spec.link_of is not None else ""
        if image is None:
            self._links.write(_csv_line(path, link, item.image_id, str(item.byte_size)))
        else:
            facts = {"image_id": item.image_id, **({"changed": image.changed} if image.changed else {})}
            self._files.write(path, image.data, **facts)
        self._layout.add(item, name, link)
        self._attribution.write(attribution.row(item, path))
        self.counts.add(item, changed=image is not None and bool(image.changed))
        if loaded.sampled:
            self.preview.add(item, name, loaded.thumb)

    def _why_empty(self) -> str:
        if not self.notes:
            return "no image was chosen for the data set"
        first = self.notes[0]
        return f"none of the {len(self.notes):,} images can be read; of the first: {first.detail}"


def _csv_line(*values: str) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerow(values)
    return text.getvalue().encode()
