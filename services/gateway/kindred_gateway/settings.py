"""Settings of the gateway: environment variables `KINDRED_<NAME>`, read when the service is built."""

import secrets
from typing import Self

from pydantic import Field, SecretStr, model_validator

from kindred_kit.imaging import ImageLimits
from kindred_kit.settings import Settings

_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


class GatewaySettings(Settings):
    """What can be set, with defaults for a laptop. Sizes in bytes, times in seconds."""

    host: str = "127.0.0.1"
    """Address to listen on. The open mode accepts loopback addresses only."""
    port: int = Field(default=8080, ge=0, le=65535)
    """TCP port; 0 takes a free one."""
    open_mode: bool = True
    """No accounts: whoever reaches the server acts as the owner "local". Host and Origin are checked instead."""
    allowed_hosts: tuple[str, ...] = ()
    """Further `name` or `name:port` that a Host header may carry in the open mode, e.g. behind a forwarded port."""
    public_url: str = ""
    """Put before the paths in `urls`; empty: paths alone, which work behind any proxy."""

    rpc_timeout_s: float = Field(default=30, gt=0)
    """Deadline of a call to another service. A first embedding on a busy laptop takes seconds."""
    readiness_timeout_s: float = Field(default=2, gt=0)
    """Deadline of the health checks behind /readyz and /v1/status."""
    retry_after_s: int = Field(default=2, ge=1)
    """What a 503 tells its client to wait. Channels reconnect within a second."""

    max_image_bytes: int = Field(default=50 * 10**6, ge=1)
    """Largest image, uploaded or downloaded: 50 MB. Checked while the body streams in."""
    max_image_pixels: int = Field(default=120 * 10**6, ge=1)
    """Most pixels (width x height) that are decoded: 120 megapixels."""
    max_json_bytes: int = Field(default=10 * 10**6, ge=1)
    """Largest JSON body: 10 MB."""
    max_field_bytes: int = Field(default=64 * 1024, ge=1)
    """Largest text field beside a file in a multipart body: 64 KiB."""
    body_timeout_s: float = Field(default=60, gt=0)
    """A request's body has to arrive within this time."""
    download_timeout_s: float = Field(default=30, gt=0)
    """Fetching an image from a URL ends after this time, redirects included."""
    max_redirects: int = Field(default=5, ge=0)
    """Redirects followed while an image is fetched from a URL."""
    max_query_terms: int = Field(default=16, ge=1, le=64)
    """Most terms of one search."""
    decode_threads: int = Field(default=2, ge=1)
    """Images decoded at a time. One of the largest size takes up to 2 GB (see ImageLimits), so this bounds memory."""
    images_in_memory: int = Field(default=8, ge=1)
    """Encoded images (`max_image_bytes` each) held at a time; further requests wait."""
    image_queue: int = Field(default=64, ge=1)
    """Requests that wait for such a place; the next one is answered 503."""
    concurrent_downloads: int = Field(default=4, ge=1)
    """Images fetched from URLs at a time; further requests wait."""
    upload_ttl_s: int = Field(default=24 * 3600, ge=1)
    """Query uploads are gone after this time: 24 hours."""
    link_secret: SecretStr = SecretStr("")
    """Signs download links, for all gateways alike; empty: one of this process, whose links end with it."""
    link_ttl_s: int = Field(default=3600, ge=1)
    """A download link is good for an hour."""
    sweep_interval_s: float = Field(default=600, gt=0)
    """How often query uploads past their time are removed."""
    wait_poll_s: float = Field(default=0.05, gt=0)
    """How often `?wait=` looks at the state of an image."""

    @property
    def link_key(self) -> bytes:
        return self.link_secret.get_secret_value().encode() or secrets.token_bytes(32)

    @property
    def image_limits(self) -> ImageLimits:
        return ImageLimits(max_bytes=self.max_image_bytes, max_pixels=self.max_image_pixels)

    @model_validator(mode="after")
    def _safe_to_open(self) -> Self:
        if not self.open_mode:
            raise ValueError("accounts are not available yet, so open_mode has to stay on")
        if self.host not in _LOOPBACK:
            raise ValueError(f"the open mode listens on a loopback address only, not on {self.host}")
        return self
