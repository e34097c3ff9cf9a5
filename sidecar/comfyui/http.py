"""HTTP to one ComfyUI, with its troubles in our words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import httpx
import msgspec

from sidecar.addresses import is_plain
from sidecar.errors import ComfyUIBroken, ComfyUITimeout, ComfyUIUnreachable

TIMEOUT = httpx.Timeout(10.0, connect=3.0)
SUBMIT_TIMEOUT = httpx.Timeout(60.0, connect=3.0)  # ComfyUI validates in its event loop, behind whatever else it does
LIMITS = httpx.Limits(keepalive_expiry=60.0)  # aiohttp closes what is idle after 75 s
FETCH_TIMEOUT = httpx.Timeout(120.0, connect=3.0)

Answer = TypeVar("Answer")


def is_usable(url: str) -> bool:
    """
    Can it be asked at all? Much that begins with http:// names no host that there could be.

    One with a password in it is none either: addresses are shown and logged.
    """
    try:
        return is_plain(url) and bool(httpx.URL(url).host)
    except httpx.InvalidURL:
        return False


class ComfyUIHttp:
    """Asks one ComfyUI. Closed by whoever made it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._http = httpx.AsyncClient(base_url=url, timeout=TIMEOUT, trust_env=False, limits=LIMITS)
        self._base_path = self._http.base_url.path.removesuffix("/")

    async def close(self) -> None:
        await self._http.aclose()

    async def get(
        self, path: str, params: Mapping[str, Any] | None = None, timeout: httpx.Timeout = TIMEOUT
    ) -> httpx.Response:
        """
        Raises:
            ComfyUIAway: It gave no answer.
        """
        return await self._send(self._http.build_request("GET", path, params=params, timeout=timeout))

    async def post(self, path: str, json: Any, timeout: httpx.Timeout = TIMEOUT) -> httpx.Response:
        """
        Raises:
            ComfyUIAway: It gave no answer.
        """
        return await self._send(self._http.build_request("POST", path, json=json, timeout=timeout))

    async def _send(self, request: httpx.Request) -> httpx.Response:
        with translated():
            return await self._http.send(request)


@contextmanager
def translated() -> Iterator[None]:
    """ComfyUI's troubles in our words; the cause stays for the log."""
    try:
        yield
    except (httpx.ConnectError, httpx.ConnectTimeout) as exc:  # nothing has left: it cannot have arrived
        raise ComfyUIUnreachable from exc
    except httpx.TimeoutException as exc:
        raise ComfyUITimeout from exc
    except httpx.HTTPError as exc:
        raise ComfyUIBroken from exc


def expect_success(response: httpx.Response) -> None:
    if not response.is_success:
        raise ComfyUIBroken(f"ComfyUI answered {response.status_code} to {response.request.url.path}.")


def read(response: httpx.Response, form: type[Answer]) -> Answer:
    """
    Raises:
        ComfyUIBroken: The answer is no success, or not of the form that it should have.
    """
    expect_success(response)
    try:
        return msgspec.json.decode(response.content, type=form)
    except (msgspec.DecodeError, RecursionError) as exc:
        raise ComfyUIBroken from exc
