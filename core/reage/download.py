"""Fetches a checkpoint when a user asks for it: resumed where it broke off, and hashed before anything opens it.

Nothing else in Reage opens a connection, and no render comes here.
"""

from __future__ import annotations

import hashlib
import http.client
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import IO
from urllib.parse import unquote, urlsplit

from reage.errors import ModelError, OutputError, RequestError
from reage.models import sha256_of
from reage.version import __version__

CHUNK = 1 << 20
PATIENCE = 60.0
"""Seconds without a byte after which a server is given up."""

LOOPBACK = {"127.0.0.1", "::1", "localhost"}

Tell = Callable[[int, int | None], None]
"""Called with the bytes that are there, and how many there will be where the server says so."""


def download(url: str, folder: Path, sha256: str | None, tell: Tell) -> Path:
    """Fetch a file into a folder.

    What a broken connection left is kept beside a note of the server's version of it (its ETag or date), and the next
    call goes on from there if the server still has that version.

    Args:
        url: https; plain http only from this machine itself, or with a sha256.
        folder: made where it is missing; holds what is not finished.
        sha256: what the file must hash to; None where nobody published one.
        tell: called as bytes come in.

    Returns:
        The finished file, under the name that the address ends with.

    Raises:
        RequestError: the address cannot be used.
        ModelError: the server refused, broke off, sent a page, or sent another file than it should.
    """
    name = _checked_name(url, sha256)
    # One folder an address, so that two files of one name are not mixed up.
    place = folder / hashlib.sha256(url.encode()).hexdigest()[:16]
    part, note, whole = place / "part", place / "version", place / name
    try:
        place.mkdir(parents=True, exist_ok=True)
        _fetch(url, part, note, tell)
        part.replace(whole)
        note.unlink(missing_ok=True)
    except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
        reason = getattr(error, "reason", None) or str(error)
        raise ModelError(f"{url}: {reason}; the same command goes on from where it broke off") from error
    except OSError as error:
        raise OutputError(f"{place}: cannot be written: {error.strerror or error}; check the disk") from error
    if sha256 is not None and (found := sha256_of(whole)) != sha256.lower():
        whole.unlink()
        raise ModelError(f"{url}: the file's sha256 is {found}, not {sha256}; it was removed, do not trust its source")
    return whole


def _checked_name(url: str, sha256: str | None) -> str:
    parts = urlsplit(url)
    if parts.scheme == "http" and parts.hostname not in LOOPBACK and sha256 is None:
        raise RequestError(f"{url}: plain http can be tampered with; use https, or give --sha256")
    name = unquote(parts.path).rsplit("/", 1)[-1]
    if parts.scheme not in ("http", "https") or name in ("", ".", "..", "part", "version") or "\\" in name:
        raise RequestError(f"{url}: not the address of a file; give one that ends in the file's name")
    return name


class _NoDowngrade(urllib.request.HTTPRedirectHandler):
    """Follows redirects, but not from https to anything less."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        """The request that follows."""
        if req.full_url.startswith("https:") and not newurl.startswith("https:"):
            raise ModelError(f"{req.full_url}: redirects to {newurl}, which is not https; it was not followed")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _fetch(url: str, part: Path, note: Path, tell: Tell) -> None:
    """Bring `part` to its full length."""
    have = part.stat().st_size if part.exists() and note.exists() else 0
    headers = {"User-Agent": f"reage/{__version__}", "Accept-Encoding": "identity"}
    if have:
        headers |= {"Range": f"bytes={have}-", "If-Range": note.read_text(encoding="utf-8")}
    opener = urllib.request.build_opener(_NoDowngrade())
    try:
        answer = opener.open(urllib.request.Request(url, headers=headers), timeout=PATIENCE)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code != 416 or not have:  # nothing is left to send, or the file has changed: start over
            raise
        part.unlink()
        return _fetch(url, part, note, tell)
    with answer:
        _receive(answer, part, note, have if answer.status == 206 else 0, tell)


def _receive(answer: http.client.HTTPResponse, part: Path, note: Path, have: int, tell: Tell) -> None:
    if answer.headers.get_content_type() == "text/html":
        raise ModelError(f"{answer.url}: is a web page; open it in a browser, save the file itself, and import that")
    length = answer.headers.get("Content-Length")
    total = have + int(length) if length is not None else None
    version = answer.headers.get("ETag") or answer.headers.get("Last-Modified")
    if version and not version.startswith("W/"):
        note.write_text(version, encoding="utf-8")
    else:
        note.unlink(missing_ok=True)
    with part.open("ab" if have else "wb") as file:
        while chunk := answer.read(CHUNK):
            file.write(chunk)
            have += len(chunk)
            tell(have, total)
    if total is not None and have < total:
        raise ConnectionError(f"the connection broke off at {have} of {total} bytes")
