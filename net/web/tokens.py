"""Who somebody is, by the address that they were given: each role has an address with a token of its own."""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass

PAGE_ROLES = ("operator", "player", "audience", "viewer")
HAS_SEAT = ("operator", "player")  # guests of the host by themselves; all others share the hall's seat
_BYTES = 9  # of chance: twelve characters


@dataclass(frozen=True)
class Tokens:
    """The token of each role, for as long as the show lasts."""

    by_role: dict[str, str]

    @classmethod
    def draw(cls) -> Tokens:
        """New ones, by chance."""
        return cls({role: secrets.token_urlsafe(_BYTES) for role in PAGE_ROLES})

    def role_of(self, token: str) -> str | None:
        """Whose token this is, None for nobody's; takes equally long for any wrong one."""
        given = token.encode()
        found = [role for role, known in self.by_role.items() if hmac.compare_digest(known.encode(), given)]
        return found[0] if found else None
