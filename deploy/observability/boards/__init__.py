"""The four dashboards of the operator's checklist."""

from collections.abc import Sequence
from typing import Final

from deploy.observability.boards.overview import OVERVIEW
from deploy.observability.boards.sessions import SESSIONS
from deploy.observability.boards.transcription import TRANSCRIPTION
from deploy.observability.boards.translation import TRANSLATION
from deploy.observability.panels import Board

BOARDS: Final[Sequence[Board]] = (OVERVIEW, SESSIONS, TRANSCRIPTION, TRANSLATION)
