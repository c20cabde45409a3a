"""Writes the dashboards for Grafana from `boards`: `python -m deploy.observability.generate`."""

import json
from pathlib import Path
from typing import Final

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from deploy.observability.boards import BOARDS
from deploy.observability.panels import Board, render

FOLDER: Final = Path(__file__).parent / "dashboards"


def dashboard(board: Board) -> str:
    """The text of its file."""
    others = [other for other in BOARDS if other is not board]
    built = render(board, others).build()
    return json.dumps(built, cls=JSONEncoder, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def main() -> None:
    """Write all, and remove what is no dashboard any more."""
    FOLDER.mkdir(exist_ok=True)
    for left in FOLDER.glob("*.json"):
        left.unlink()
    for board in BOARDS:
        (FOLDER / f"{board.uid}.json").write_text(dashboard(board))


if __name__ == "__main__":
    main()
