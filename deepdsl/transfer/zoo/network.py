"""Fetches a file over https: nothing but https, not on any redirect, within a size and a time."""

from __future__ import annotations

import ssl
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from http.client import HTTPMessage
from typing import IO, Any
from urllib.parse import urlsplit

from deepdsl.core.version import VERSION
from deepdsl.diagnostics import DnnError
from deepdsl.diagnostics.transfer.zoo import CannotFetch
from deepdsl.transfer.zoo.rules import wrong_address

# Seconds without a byte.
TIMEOUT = 30.0
CHUNK = 1 << 16

#: An address and the most bytes that it may give -> its bytes, piece by piece.
Fetch = Callable[[str, int], Iterator[bytes]]
Opener = Callable[[urllib.request.Request, float], Any]


def secure_fetch(
    address: str, most: int, opener: Opener | None = None, timeout: float = TIMEOUT
) -> Iterator[bytes]:
    """The bytes at an https address; DnnError with CannotFetch where they cannot be had."""
    if (reason := wrong_address(address)) is not None:
        raise DnnError([CannotFetch(None, address, reason, "an address begins with https://")])
    request = urllib.request.Request(address, headers={"User-Agent": f"dnnc/{VERSION}"})
    try:
        with (opener or _open)(request, timeout) as answer:
            yield from _pieces(address, answer, most)
    except (OSError, ValueError, EOFError) as error:
        raise DnnError([_trouble(address, error)]) from error
    except Exception as error:
        # http.client raises several kinds of its own where an answer is cut short or is no HTTP.
        if not type(error).__module__.startswith("http."):
            raise
        raise DnnError([_trouble(address, error)]) from error


def _pieces(address: str, answer: Any, most: int) -> Iterator[bytes]:
    if urlsplit(answer.geturl()).scheme != "https":
        raise DnnError([CannotFetch(None, address, "it leads to an address without https")])
    told = answer.headers.get("Content-Length")
    if told is not None and told.isdecimal() and int(told) > most:
        raise DnnError([_too_large(address, most)])
    read = 0
    while piece := answer.read(CHUNK):
        read += len(piece)
        if read > most:
            raise DnnError([_too_large(address, most)])
        yield piece


def _too_large(address: str, most: int) -> CannotFetch:
    advice = "the index or the file is another one; ask who keeps it"
    return CannotFetch(None, address, f"it has more than {most:,} bytes", advice)


def _trouble(address: str, error: Exception) -> CannotFetch:
    if isinstance(error, urllib.error.HTTPError):
        error.close()  # it holds the connection
        return CannotFetch(None, address, f"the server answers {error.code} ({error.reason})")
    reason = getattr(error, "reason", error)
    if isinstance(reason, TimeoutError):
        return CannotFetch(None, address, "the server does not answer in time", "try again")
    if isinstance(reason, ssl.SSLCertVerificationError):
        told = f"its certificate is not trusted ({reason.verify_message})"
        return CannotFetch(None, address, told, "SSL_CERT_FILE names further authorities")
    return CannotFetch(None, address, str(getattr(reason, "strerror", None) or reason).lower())


class _OnlyHttps(urllib.request.HTTPRedirectHandler):
    """Follows a redirect to https alone."""

    max_redirections = 5

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        if (reason := wrong_address(newurl)) is not None:
            fp.close()
            told = f"the server sends on to {newurl[:200]}: {reason}"
            raise DnnError([CannotFetch(None, req.full_url, told)])
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _open(request: urllib.request.Request, timeout: float) -> Any:
    # By hand: `build_opener` would add handlers for http, ftp, file and data.
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPSHandler(context=ssl.create_default_context()),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        _OnlyHttps(),
        urllib.request.UnknownHandler(),
    ):
        opener.add_handler(handler)
    return opener.open(request, timeout=timeout)
