"""`babelcast serve --engines scripted`: exact text in every language, from the sound that arrived."""

from collections.abc import Iterator

import pytest

from babelcast import scripted
from babelcast.client import Listener
from babelcast.pcm import SAMPLE_RATE_HZ
from babelcast.wav import Sound
from bench.talk import hold
from tests.e2e.served import Served, run, serving

SENTENCES = 6


@pytest.fixture(scope="module")
def scripted_system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server with scripted engines."""
    with serving(tmp_path_factory.mktemp("scripted") / "data", options=("--engines", "scripted")) as served:
        yield served


async def test_every_sentence_arrives_once_in_every_language(scripted_system: Served) -> None:
    """What three listeners read is exactly what was said, in order, and each sentence has its voice."""
    talk = await hold(
        scripted_system.url,
        token=scripted_system.token,
        speech=Sound(scripted.script_speech(321, SENTENCES), SAMPLE_RATE_HZ),
        source_language="en",
        target_languages=["es", "de", "uk"],
    )
    said = [scripted.sentence(321, number) for number in range(SENTENCES)]
    assert [transcript.text for transcript in talk.finals()] == said
    assert talk.problems == []
    for heard in talk.listeners:
        captions = [caption.text for _, caption in heard.captions if caption.is_final]
        assert captions == [scripted.translated(text, heard.language) for text in said]
        assert [voice.message.sequence_number for _, voice in heard.voices] == list(range(1, SENTENCES + 1))
        assert all(voice.message.duration > 1 for _, voice in heard.voices)


async def test_the_voices_say_what_they_are(scripted_system: Served) -> None:
    """Who asks for the languages reads whose voices they have."""
    async with await Listener.connect(scripted_system.url) as client:
        languages = await client.languages()
    assert languages.source == list(scripted.LANGUAGES)
    assert all(len(targets) == len(scripted.LANGUAGES) - 1 for targets in languages.targets.values())


def test_speaking_from_the_command_line(scripted_system: Served) -> None:
    """`speak --scripted` shows the sentences of its script."""
    done = run(
        *("speak", "--scripted", "--sentences", "2", "--script", "5", "--url", scripted_system.url),
        *("--token", scripted_system.token),
    )
    assert done.returncode == 0, done.stderr
    for number in range(2):
        assert scripted.sentence(5, number) in done.stdout
