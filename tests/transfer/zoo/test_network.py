"""Fetching: https alone, on every redirect; sizes, times and certificates.  Loopback only."""

from __future__ import annotations

import io
import shutil
import ssl
import subprocess
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import onnx
import pytest
from small_onnx import perceptron

from deepdsl.diagnostics import DnnError
from deepdsl.transfer.zoo import get, open_index
from deepdsl.transfer.zoo.network import secure_fetch
from deepdsl.transfer.zoo.publish import PublishOptions, publish

DATA = bytes(range(256)) * 1000


class Answer:
    """What an opener gives."""

    def __init__(self, data: bytes, url: str, length: str | None = None) -> None:
        self._data, self._url = io.BytesIO(data), url
        self.headers = Message()
        if length is not None:
            self.headers["Content-Length"] = length

    def __enter__(self) -> Answer:
        return self

    def __exit__(self, *_: object) -> None:
        self._data.close()

    def read(self, size: int) -> bytes:
        return self._data.read(size)

    def geturl(self) -> str:
        return self._url


def reason(address: str, most: int = 1 << 20, **how: Any) -> str:
    with pytest.raises(DnnError) as raised:
        b"".join(secure_fetch(address, most, **how))
    (diagnostic,) = raised.value.diagnostics
    assert diagnostic.code == "E565"
    return diagnostic.message


def test_only_https_is_opened() -> None:
    def never(request: Any, timeout: float) -> Any:
        raise AssertionError(request.full_url)

    for address in ("http://a.org/x", "ftp://a.org/x", "file:///etc/passwd", "data:,x", "x"):
        assert "http" in reason(address, opener=never) or "no address" in reason(address)


def test_what_an_opener_gives() -> None:
    def opener(data: bytes, url: str, length: str | None = None) -> Any:
        def open_(request: urllib.request.Request, timeout: float) -> Answer:
            assert timeout == 30
            assert request.get_header("User-agent").startswith("dnnc/")
            return Answer(data, url, length)

        return open_

    here = "https://a.org/x"
    assert b"".join(secure_fetch(here, len(DATA), opener(DATA, here))) == DATA
    assert "without https" in reason(here, opener=opener(DATA, "http://a.org/x"))
    # What the server says beforehand, and what comes all the same.
    assert "more than 10 bytes" in reason(here, 10, opener=opener(b"", here, "11"))
    assert "more than 10 bytes" in reason(here, 10, opener=opener(b"x" * 11, here))
    assert "more than 10 bytes" in reason(here, 10, opener=opener(b"x" * 11, here, "5"))


def test_what_goes_wrong_on_the_way() -> None:
    def failing(error: Exception) -> Any:
        def open_(request: Any, timeout: float) -> Any:
            raise error

        return open_

    here = "https://a.org/x"
    assert "in time" in reason(here, opener=failing(TimeoutError()))
    refused = urllib.error.URLError(ConnectionRefusedError(111, "Connection refused"))
    assert "connection refused" in reason(here, opener=failing(refused))
    with pytest.raises(ZeroDivisionError):  # a fault of this program stays one
        b"".join(secure_fetch(here, 1, failing(ZeroDivisionError())))


# A server -----------------------------------------------------------------------------------------


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        where = self.path.partition("?")[0]
        if where.startswith("/to"):
            self.send_response(302)
            self.send_header("Location", self.server.targets[where])  # type: ignore[attr-defined]
            self.end_headers()
        elif where == "/data":
            self.send_response(200)
            self.send_header("Content-Length", str(len(DATA)))
            self.end_headers()
            self.wfile.write(DATA)
        elif where == "/cut":
            self.send_response(200)
            self.send_header("Content-Length", str(len(DATA)))
            self.end_headers()
            self.wfile.write(DATA[:100])
        elif where.startswith("/zoo/"):
            data = (self.server.folder / where.removeprefix("/zoo/")).read_bytes()  # type: ignore[attr-defined]
            self.send_response(200)
            self.end_headers()
            self.wfile.write(data)
        elif where == "/slow":
            threading.Event().wait(1)
        else:
            self.send_error(404)

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of our own for 127.0.0.1, with its key in the same file."""
    if (openssl := shutil.which("openssl")) is None:
        pytest.skip("openssl is not installed")
    file = tmp_path_factory.mktemp("tls") / "own.pem"
    subprocess.run(
        [
            *(
                openssl,
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:prime256v1",
                "-nodes",
                "-days",
                "2",
            ),
            *("-keyout", str(file), "-out", f"{file}.crt", "-subj", "/CN=localhost"),
            *("-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"),
        ],
        check=True,
        capture_output=True,
    )
    file.write_bytes(file.read_bytes() + Path(f"{file}.crt").read_bytes())
    return file


class Server(ThreadingHTTPServer):
    daemon_threads = False  # the end waits for them

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that has gone is no fault."""


@contextmanager
def serving(certificate: Path, folder: Path) -> Iterator[str]:
    with Server(("127.0.0.1", 0), Handler) as server:
        base = f"https://127.0.0.1:{server.server_port}"
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
        server.folder = folder  # type: ignore[attr-defined]
        server.targets = {  # type: ignore[attr-defined]
            "/to-data": f"{base}/data",
            "/to-http": "http://127.0.0.1:1/data",
            "/to-file": "file:///etc/passwd",
            "/to-itself": f"{base}/to-itself",
        }
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield base
        server.shutdown()
        thread.join()


@pytest.fixture
def server(certificate: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with serving(certificate, tmp_path) as base:
        yield base


def test_over_tls(server: str) -> None:
    assert b"".join(secure_fetch(f"{server}/data", len(DATA))) == DATA
    assert b"".join(secure_fetch(f"{server}/to-data", len(DATA))) == DATA
    assert "more than 1,000 bytes" in reason(f"{server}/data", 1000)
    assert "answers 404" in reason(f"{server}/nothing")


def no_run(run: Path, file: Path) -> None:
    raise AssertionError(f"{run} is a file")


def test_a_published_folder_is_a_zoo_over_tls(server: str, tmp_path: Path) -> None:
    onnx.save(perceptron(), tmp_path / "a.onnx")
    publish(tmp_path / "a.onnx", tmp_path, PublishOptions("net", "MIT"), no_run)
    for address in (f"{server}/zoo", f"{server}/zoo/", f"{server}/zoo/index.json?v=1"):
        index = open_index(address)
        assert index.home == f"{server}/zoo/"
        got = get(index, "net", tmp_path / "far.onnx", force=True)
        assert got.source == f"{server}/zoo/net.onnx"
        assert (tmp_path / "far.onnx").read_bytes() == (tmp_path / "a.onnx").read_bytes()
    # Someone on the other side has changed a bit of it.
    data = bytearray((tmp_path / "net.onnx").read_bytes())
    data[100] ^= 1
    (tmp_path / "net.onnx").write_bytes(data)
    with pytest.raises(DnnError, match="its sha256 is"):
        get(index, "net", tmp_path / "other.onnx")
    assert not list(tmp_path.glob("*other.onnx*"))


def test_redirects_stay_on_https(server: str) -> None:
    told = reason(f"{server}/to-http")
    assert "sends on to http://127.0.0.1:1/data: http without s" in told
    told = reason(f"{server}/to-file")
    assert "answers 302" in told
    assert "file:///etc/passwd' is not allowed" in told
    assert "answers 302" in reason(f"{server}/to-itself")


def test_answers_that_end_early_or_never(server: str) -> None:
    assert len(b"".join(secure_fetch(f"{server}/data", 1 << 20))) == len(DATA)
    # What is missing shows in the size; it is compared with the index.
    assert len(b"".join(secure_fetch(f"{server}/cut", 1 << 20))) == 100
    assert "in time" in reason(f"{server}/slow", timeout=0.3)


def test_a_certificate_that_nobody_knows(
    certificate: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    with serving(certificate, tmp_path) as base:
        assert "its certificate is not trusted" in reason(f"{base}/data")
