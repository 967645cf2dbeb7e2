"""The addresses of the page, one for each role, and one of them as a QR code: the only file that knows segno."""

from __future__ import annotations

import io
from ipaddress import ip_address

from net.transport import Place, own_address, place_text
from net.web.tokens import Tokens

WHAT = {
    "operator": "everything, and what the audience asks for",
    "player": "words and dials",
    "audience": "words, which wait for an operator",
    "viewer": "the picture",
}


def addresses(place: Place, tokens: Tokens) -> dict[str, str]:
    """The address of each role. The token stands behind a #, so that it is in no request and in nobody's log."""
    is_any = ip_address(place[0]).is_unspecified
    reached = place_text((own_address() if is_any else place[0], place[1]))
    return {role: f"http://{reached}/#{token}" for role, token in tokens.by_role.items()}


def announcement(by_role: dict[str, str], shown: str) -> str:
    """Lines for the terminal: the addresses, and that of the role `shown` as a QR code."""
    lines = [f"  {role:<9} {address}   {WHAT[role]}" for role, address in by_role.items()]
    return "\n".join(["a page for phones, with an address for each role:", *lines, _qr(by_role[shown]), f"  ({shown})"])


def _qr(text: str) -> str:
    import segno

    drawn = io.StringIO()
    segno.make(text, error="l").terminal(drawn, border=2, compact=True)
    return drawn.getvalue().rstrip("\n")
