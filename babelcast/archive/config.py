"""How long and how much is kept."""

from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta

from babelcast.config import setting

Minutes = Annotated[float, Meta(ge=0)]
Bytes = Annotated[int, Meta(ge=1_000_000)]


@dataclass(frozen=True, slots=True)
class ArchiveConfig:
    """The limits of the archive."""

    transcript_retention_minutes: Minutes = setting(
        60, "How long the text of a talk can be read after its end, min."
    )
    transcript_max_bytes: Bytes = setting(
        200_000_000, "Most that the texts of all talks may take, bytes; above it the oldest go."
    )

    @property
    def retention_s(self) -> float:
        """The retention in seconds."""
        return 60 * self.transcript_retention_minutes
