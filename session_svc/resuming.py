"""Which seat a resume token gets."""

from dataclasses import dataclass

from session_svc import tokens
from session_svc.model import Former, Seat
from session_svc.store.base import SessionStore


@dataclass(frozen=True, slots=True)
class Claim:
    """A seat that may be taken over, and the token for it as it is to be remembered."""

    seat: Seat
    token: Former


async def claim(
    store: SessionStore, session_id: str, token: str, *, now_ms: int, again_ms: int
) -> Claim | None:
    """What a token is good for. It may be used again for `again_ms` after its first use.

    Raises: StoreUnavailable.
    """
    presented = tokens.parse(token)
    if presented is None:
        return None
    seat = await store.seat(presented.connection_id)
    if seat is not None and tokens.fits(presented, session_id, seat):
        return Claim(seat, Former(seat.connection_id, seat.token_hash, now_ms + again_ms))
    seat = seat or await store.successor(presented.connection_id)
    if (
        seat is None
        or seat.former is None
        or not tokens.fits_former(presented, session_id, seat, now_ms=now_ms)
    ):
        return None
    return Claim(seat, seat.former)
