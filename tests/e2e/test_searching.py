"""Searches of the shared gallery, by the command line beside a running server."""

import json
from pathlib import Path

import httpx
import pytest
from support.commands import PHOTOS, CommandLine, Server


def names(gallery: CommandLine, http: httpx.Client, *arguments: str) -> list[str]:
    results = gallery.json("search", *arguments)["results"]
    return [http.get(f"/v1/images/{hit['id']}").json()["file_name"] for hit in results]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("a cat looking at the camera", "chelsea.png"),
        ("a cup of coffee", "coffee.png"),
        ("a rocket on a launch pad", "rocket.jpg"),
        ("a woman in a space suit", "astronaut.png"),
    ],
)
def test_text_finds_its_photo(gallery: CommandLine, http: httpx.Client, text: str, name: str) -> None:
    assert names(gallery, http, text, "--limit", "1") == [name]


def test_an_image_finds_itself_and_then_its_like(gallery: CommandLine, photos: Path, http: httpx.Client) -> None:
    found = names(gallery, http, "--image", str(photos / "motorcycle_left.png"), "--limit", "2")
    assert found == ["motorcycle_left.png", "motorcycle_right.png"]


def test_a_region_is_looked_at_alone(gallery: CommandLine, photos: Path) -> None:
    arguments = ["search", "--image", str(photos / "astronaut.png")]
    whole = gallery.json(*arguments)["results"]
    corner = gallery.json(*arguments, "--region", "0,0,0.3,0.3")["results"]
    assert whole[0]["score"] > 0.99
    assert max(hit["score"] for hit in corner) < 0.99


def test_text_and_image_mix(gallery: CommandLine, photos: Path) -> None:
    mixed = gallery.json("search", "a cat", "--image", str(photos / "coffee.png"), "--limit", "2")["results"]
    assert {hit["id"] for hit in mixed} == {
        gallery.json("show", photos / name)["id"] for name in ("chelsea.png", "coffee.png")
    }


def test_labels_filter(gallery: CommandLine, http: httpx.Client) -> None:
    with_motorcycle = set(names(gallery, http, "a photo", "--label", "motorcycle"))
    without = set(names(gallery, http, "a photo", "--no-label", "motorcycle"))
    assert with_motorcycle == {"motorcycle_left.png", "motorcycle_right.png"}
    assert without == set(PHOTOS) - with_motorcycle


def test_labels_alone_browse(gallery: CommandLine, http: httpx.Client) -> None:
    found = gallery.json("search", "--label", "motorcycle", "--facets")
    assert {hit["file_name"] for hit in found["results"]} == {"motorcycle_left.png", "motorcycle_right.png"}
    assert [hit["score"] for hit in found["results"]] == [None, None]
    [count] = [count for count in found["facets"]["labels"] if count["class"] == "motorcycle"]
    assert (count["images"], found["facets"]["over"]) == (2, 2)
    shown = gallery.run("search", "--label", "motorcycle", "--facets").stdout
    assert "score" not in shown
    assert "Labels in all 2 hits" in shown
    newest = http.get("/v1/search").json()["results"]
    assert {hit["file_name"] for hit in newest} == set(PHOTOS)
    refused = gallery.run("search", "--label", "motorcycle", "--min-score", "0.5", expect=1)
    assert "query" in refused.stderr


def test_a_diverse_search_answers_the_same_photos(gallery: CommandLine, server: Server) -> None:
    plain = [hit["id"] for hit in gallery.json("search", "a vehicle")["results"]]
    spread = [hit["id"] for hit in gallery.json("search", "a vehicle", "--diversity", "1", "--collapse")["results"]]
    assert sorted(spread) == sorted(plain)
    assert spread[0] == plain[0]


def test_an_unknown_label_is_an_error_with_advice(gallery: CommandLine, server: Server) -> None:
    done = gallery.run("search", "dog", "--label", "unicorn", expect=1)
    assert "unicorn" in done.stderr
    assert "kindred status" in done.stderr


def test_scores_below_the_least_are_left_out(gallery: CommandLine, server: Server) -> None:
    assert gallery.json("search", "a cat", "--min-score", "0.999")["results"] == []
    assert "Nothing matches." in gallery.run("search", "a cat", "--min-score", "0.999").stdout


def test_json_is_exactly_what_the_api_answers(gallery: CommandLine, http: httpx.Client) -> None:
    printed = json.loads(gallery.run("search", "a cat", "--limit", "3", "--json").stdout)
    answered = http.post("/v1/search", json={"query": [{"text": "a cat"}], "limit": 3}).json()
    assert printed["next_cursor"]
    own = {"id": "", "next_cursor": ""}  # of each request
    assert {**printed, **own} == {**answered, **own}
    image_id = printed["results"][0]["id"]
    assert gallery.json("show", image_id) == http.get(f"/v1/images/{image_id}").json()


def test_a_query_file_that_is_no_image(gallery: CommandLine, tmp_path: Path, server: Server) -> None:
    (tmp_path / "text.jpg").write_text("words")
    assert "text file" in gallery.run("search", "--image", tmp_path / "text.jpg", expect=1).stderr
    assert "no such file" in gallery.run("search", "--image", tmp_path / "none.jpg", expect=1).stderr


def test_ids_that_mean_nothing(gallery: CommandLine, server: Server) -> None:
    gallery.run("show", "0000000000", expect=1)
    gallery.run("rm", "zz", expect=2)
    assert gallery.json("status")["images"] == len(PHOTOS)
