"""Speakers' tokens from the local issuer."""

from collections.abc import Sequence
from pathlib import Path

from babelcast.auth.local_issuer import KEY_FILE, LocalIssuer
from babelcast.errors import Unauthorized

S_PER_HOUR = 3600.0


def mint(data_dir: Path, *, subject: str, hours: float, groups: Sequence[str] = ()) -> str:
    """A token for `subject` in these groups, good for `hours`. A directory without an issuer gets one.

    Raises: ServiceUnavailable, OSError.
    """
    return LocalIssuer.open(data_dir).mint(subject, lifetime_s=hours * S_PER_HOUR, groups=groups)


def given_or_minted(
    token: str, data_dir: Path, *, subject: str = "local-speaker", groups: Sequence[str] = ()
) -> str:
    """The token that was given, else a short one from the issuer of the local server.

    Raises: Unauthorized when there is neither.
    """
    if token:
        return token
    if not (data_dir / KEY_FILE).is_file():
        raise Unauthorized(
            f"No token: {data_dir} is not the data directory of a server. Give --token or --data-dir."
        )
    return mint(data_dir, subject=subject, hours=1, groups=groups)
