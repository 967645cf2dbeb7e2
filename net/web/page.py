"""The page itself, and the headers that let it load nothing and run nothing but what stands in it."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

_FILE = Path(__file__).with_name("page.html")


@dataclass(frozen=True)
class Page:
    """One HTML file with its style and its script inside. body: UTF-8."""

    body: bytes

    @classmethod
    def load(cls) -> Page:
        """The page of this package."""
        return cls(_FILE.read_bytes())

    @cached_property
    def headers(self) -> dict[str, str]:
        """Of every answer. The policy names style and script by their hashes, so that none but these are run."""
        policy = (
            "default-src 'none'", f"style-src {self._hashes('style')}", f"script-src {self._hashes('script')}",
            "connect-src 'self'", "img-src data:", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'",
        )  # fmt: skip
        return {
            "Content-Type": "text/html; charset=utf-8",
            "Content-Security-Policy": "; ".join(policy),
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Cache-Control": "no-store",
        }

    def _hashes(self, tag: str) -> str:
        found = re.findall(rb"<%b>(.*?)</%b>" % (tag.encode(), tag.encode()), self.body, re.DOTALL)
        digests = [base64.b64encode(hashlib.sha256(text).digest()).decode() for text in found]
        return " ".join(f"'sha256-{digest}'" for digest in digests) or "'none'"
