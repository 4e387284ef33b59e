"""`kindred serve`: beside other commands, against other sites, and to a graceful end."""

import json
import signal
import socket
from pathlib import Path

import httpx
import pytest
from support.commands import PHOTOS, CommandLine, Server, serving, wait_for, write_photos


def test_the_command_line_goes_through_the_server(gallery: CommandLine, server: Server) -> None:
    status = gallery.json("status")
    assert status["owner"] == {"pid": server.process.pid, "command": "serve", "url": server.url}
    assert status["images"] == len(PHOTOS)


def test_a_second_server_on_the_same_gallery_says_where_the_first_is(gallery: CommandLine, server: Server) -> None:
    done = gallery.run("serve", "--port", "0", expect=1)
    assert server.url in done.stderr


def test_a_port_in_use_is_said(command_line: CommandLine) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert f"port {port}" in command_line.run("serve", "--port", port, expect=1).stderr


def test_other_addresses_are_refused_with_the_reason(command_line: CommandLine) -> None:
    assert "no accounts yet" in command_line.run("serve", "--host", "0.0.0.0", expect=2).stderr


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1:1", "127.0.0.1.evil.example"])
def test_another_sites_name_is_refused(http: httpx.Client, host: str) -> None:
    response = http.get("/v1/labels", headers={"Host": host})
    assert (response.status_code, response.json()["code"]) == (403, "host_refused")


def test_a_page_of_another_site_changes_nothing(http: httpx.Client, gallery: CommandLine) -> None:
    image_id = gallery.json("search", "a cat", "--limit", "1")["results"][0]["id"]
    response = http.delete(f"/v1/images/{image_id}", headers={"Origin": "https://evil.example"})
    assert (response.status_code, response.json()["code"]) == (403, "origin_refused")
    assert http.get(f"/v1/images/{image_id}").status_code == 200


def test_index_and_rm_beside_a_server(command_line: CommandLine, tmp_path: Path) -> None:
    photos = write_photos(tmp_path / "photos", ["coffee.png"])
    for server in serving(command_line, tmp_path / "server.log"):
        assert command_line.json("index", photos)["indexed"] == 1
        with httpx.Client(base_url=server.url, timeout=60) as http:
            found = http.get("/v1/search", params={"q": "coffee"}).json()["results"]
            assert len(found) == 1
            command_line.run("rm", found[0]["id"])
            assert http.get("/v1/search", params={"q": "coffee"}).json()["results"] == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_request_in_flight_ends_before_the_server_does(
    command_line: CommandLine, tmp_path: Path, number: signal.Signals
) -> None:
    body = json.dumps({"query": [{"text": "coffee"}]}).encode()
    for server in serving(command_line, tmp_path / "server.log"):
        with server.connect() as client:
            client.sendall(
                b"POST /v1/search HTTP/1.1\r\nHost: " + server.url.removeprefix("http://").encode() + b"\r\n"
                b"Content-Type: application/json\r\nExpect: 100-continue\r\n"
                b"Content-Length: " + str(len(body)).encode() + b"\r\n\r\n"
            )
            assert client.recv(100).startswith(b"HTTP/1.1 100 ")  # the request has reached the application
            server.process.send_signal(number)
            wait_for(lambda log=server.log: "Stopping" in log.read_text(), server.process)
            client.sendall(body)
            answer = client.makefile("rb").read()
            assert answer.startswith(b"HTTP/1.1 200 ")
            assert b'"results":[]' in answer
        assert server.process.wait(timeout=60) == 0
        assert not (command_line.data_dir / "owner.json").exists()
        assert "Traceback" not in server.log.read_text()
