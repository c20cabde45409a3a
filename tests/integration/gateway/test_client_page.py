"""The example of docs/client.md does what it says."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import cast

from babelcast.wav import Sound, write
from tests.integration.gateway.stage import Stage, eventually

PAGE = Path(__file__).parents[3] / "docs" / "client.md"


def example() -> Callable[[str, str, Path], Awaitable[list[str]]]:
    """`talk` of the page's code."""
    found = re.search(r"<!-- example -->\n```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert found is not None
    names: dict[str, object] = {}
    exec(compile(found[1], str(PAGE), "exec"), names)  # noqa: S102 - it is ours
    return cast(Callable[[str, str, Path], Awaitable[list[str]]], names["talk"])


async def test_the_example_of_the_page_runs(stage: Stage, tmp_path: Path) -> None:
    """Somebody speaks, somebody else reads and hears it in Spanish, and both end by themselves."""
    recording = tmp_path / "talk.wav"
    write(recording, Sound(bytes(2 * 16_000), 16_000))
    running = asyncio.ensure_future(example()(stage.url, stage.token(), recording))
    hearing = await stage.transcription.opened()
    await eventually(lambda: any(room.session.audience.languages.get("es") for room in stage.desk.rooms))
    hearing.final(0, "Good morning.")
    caption, voice = await running
    assert "Good morning." in caption
    assert re.fullmatch(r"\([0-9.]+ s of voice, [0-9]+ bytes\)", voice)
    assert hearing.audio == bytes(2 * 16_000)
