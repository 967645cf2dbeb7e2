"""A shared key is proven and never sent: the guest signs the host's nonce, and what it claims to be, with it."""

from __future__ import annotations

import hashlib
import hmac


def proof(key: bytes, nonce: bytes, identity: bytes, role: str) -> bytes:
    """HMAC-SHA256 of the nonce, the guest's identity and the role that it asks for; 32 bytes."""
    return hmac.new(key, nonce + identity + role.encode(), hashlib.sha256).digest()


def is_proven(key: bytes, nonce: bytes, identity: bytes, role: str, given: bytes) -> bool:
    """Whether `given` is that proof; takes equally long for any wrong one."""
    return hmac.compare_digest(proof(key, nonce, identity, role), given)
