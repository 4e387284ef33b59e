"""attribution.csv in a spreadsheet's hands."""

import csv
import io
from dataclasses import replace

import pytest
from support.dataset_items import RIGHTS, Shelf
from support.photos import noise_jpeg

from kindred_datasets.export import attribution


async def read_back(**rights: str) -> dict[str, str]:
    item = await Shelf().add(noise_jpeg(1), name='caf\udce9, "x"\n.jpg', rights=replace(RIGHTS, **rights))
    text = (attribution.header() + attribution.row(item, "images/train/a.jpg")).decode()
    (row,) = csv.DictReader(io.StringIO(text, newline=""))
    return row


async def test_every_column_survives_commas_quotes_and_lines() -> None:
    row = await read_back(creator='O\'Brien, "Bo"\nand Ünal', attribution="“Dog” by Bo")
    assert row["creator"] == 'O\'Brien, "Bo"\nand Ünal'
    assert (row["image"], row["license"], row["license_url"]) == ("images/train/a.jpg", "by", RIGHTS.license_url)
    assert (row["attribution"], row["source_url"], row["split"]) == ("“Dog” by Bo", RIGHTS.source_url, "train")
    assert row["file_name"] == 'caf\\udce9, "x"\n.jpg'


@pytest.mark.parametrize("formula", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", '=HYPERLINK("x")'])
async def test_no_cell_is_a_formula(formula: str) -> None:
    row = await read_back(creator=formula)
    assert row["creator"] == f"'{formula}"


async def test_a_missing_licence_is_unknown() -> None:
    assert (await read_back(license="", license_url=""))["license"] == "unknown"
