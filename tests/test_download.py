from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from reage.download import download
from reage.errors import ModelError, RequestError

CONTENT = bytes(range(256)) * 20_000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Server(ThreadingHTTPServer):
    """Serves one file, with ranges; may break off, change the file, or know no ranges."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content, self.version = CONTENT, '"1"'
        self.breaks_at: int | None = None
        self.ranges = True
        self.kind = "application/octet-stream"
        self.asked: list[str | None] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/models/file.pt?download=1"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        server, asked = self.server, self.headers.get("Range")
        server.asked.append(asked)
        if self.path.startswith("/gone"):
            return self.send_error(404)
        if self.path.startswith("/moved"):
            self.send_response(302)
            self.send_header("Location", server.url)
            return self.end_headers()
        first = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
        if not server.ranges or self.headers.get("If-Range") != server.version:
            first = 0
        if first >= len(server.content):
            return self.send_error(416)
        body = server.content[first:]
        self.send_response(206 if first else 200)
        self.send_header("Content-Type", server.kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", server.version)
        self.end_headers()
        self.wfile.write(body if server.breaks_at is None else body[: server.breaks_at - first])


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
        yield running
        running.shutdown()


def silent(done: int, total: int | None) -> None:
    pass


def broken(server: Server, folder: Path) -> None:
    server.breaks_at = 2_000_000
    with pytest.raises(ModelError, match="broke off at 2000000 of"):
        download(server.url, folder, SHA256, silent)
    server.breaks_at = None


def test_a_file_arrives_whole_under_its_name_and_progress_is_told(server: Server, tmp_path: Path) -> None:
    told: list[tuple[int, int | None]] = []
    path = download(server.url, tmp_path, SHA256, lambda *step: told.append(step))
    assert path.name == "file.pt" and path.read_bytes() == CONTENT
    assert told[-1] == (len(CONTENT), len(CONTENT)) and [done for done, _ in told] == sorted(done for done, _ in told)
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == [path]


def test_what_broke_off_is_resumed(server: Server, tmp_path: Path) -> None:
    broken(server, tmp_path)
    assert download(server.url, tmp_path, SHA256, silent).read_bytes() == CONTENT
    assert server.asked == [None, "bytes=2000000-"]


def test_a_file_that_changed_meanwhile_is_not_mixed_with_the_old_one(server: Server, tmp_path: Path) -> None:
    broken(server, tmp_path)
    server.content, server.version = CONTENT[::-1], '"2"'
    assert download(server.url, tmp_path, None, silent).read_bytes() == CONTENT[::-1]


def test_a_server_that_knows_no_ranges_is_read_from_the_start(server: Server, tmp_path: Path) -> None:
    broken(server, tmp_path)
    server.ranges = False
    assert download(server.url, tmp_path, SHA256, silent).read_bytes() == CONTENT


def test_a_file_that_became_shorter_is_read_from_the_start(server: Server, tmp_path: Path) -> None:
    broken(server, tmp_path)
    server.content = CONTENT[:1000]
    assert download(server.url, tmp_path, None, silent).read_bytes() == CONTENT[:1000]


def test_another_hash_removes_the_file(server: Server, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="it was removed"):
        download(server.url, tmp_path, "0" * 64, silent)
    assert not [p for p in tmp_path.rglob("*") if p.is_file()]


def test_a_web_page_is_refused_before_it_is_kept(server: Server, tmp_path: Path) -> None:
    server.kind = "text/html; charset=utf-8"
    with pytest.raises(ModelError, match="web page"):
        download(server.url, tmp_path, None, silent)
    assert not [p for p in tmp_path.rglob("*") if p.is_file()]


def test_a_redirect_is_followed_and_a_missing_file_is_told(server: Server, tmp_path: Path) -> None:
    base = f"http://127.0.0.1:{server.server_port}"
    assert download(f"{base}/moved/file.pt", tmp_path, SHA256, silent).read_bytes() == CONTENT
    with pytest.raises(ModelError, match="Not Found"):
        download(f"{base}/gone/file.pt", tmp_path, None, silent)


def test_a_server_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="goes on from where it broke off"):
        download("http://127.0.0.1:9/file.pt", tmp_path, None, silent)


@pytest.mark.parametrize(
    "url", ["ftp://127.0.0.1/a.pt", "file:///etc/passwd", "http://127.0.0.1/", "https://example.com/a/..", "x"]
)
def test_what_is_no_address_of_a_file_is_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="address of a file"):
        download(url, tmp_path, None, silent)


def test_plain_http_from_elsewhere_needs_a_hash(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="--sha256"):
        download("http://example.com/a.pt", tmp_path, None, silent)
