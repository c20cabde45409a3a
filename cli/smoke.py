"""`babelcast smoke`: the seven smoke tests of a deployment, against a running system."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from rich.console import Console
from rich.text import Text

from babelcast.client import Listener, Speaker, pace
from babelcast.errors import BabelcastError
from babelcast.protocol.client_messages import ControlAction
from babelcast.protocol.server_messages import Error, Transcript
from babelcast.wav import Sound
from bench import measures
from bench.talk import hold
from cli import outcome

CONTROLS: tuple[ControlAction, ...] = ("pause", "resume", "mute", "unmute")
TRANSCRIPT_TIMEOUT_S = 20.0
ERROR_TIMEOUT_S = 1.0
LATENCY_LIMIT_S = 5.0
FIRST_CHUNKS = 10


@dataclass(frozen=True, slots=True)
class SmokeOptions:
    """What is tested, with which speech."""

    url: str
    token: str
    speech: Sound
    source_language: str
    target_language: str


class Failed(Exception):
    """A smoke test did not see what it must see."""


@dataclass(slots=True)
class Run:
    """What the tests share: one session of a speaker and a listener."""

    options: SmokeOptions
    speaker: Speaker
    listener: Listener
    code: str = ""

    def session(self) -> str:
        """The session's code.

        Raises: Failed when none could be made.
        """
        if not self.code:
            raise Failed("there is no session")
        return self.code


async def smoke(options: SmokeOptions, console: Console) -> int:
    """Run the tests one after the other; returns the exit code.

    Raises: BabelcastError when the system cannot be reached at all.
    """
    async with (
        await Speaker.connect(options.url, token=options.token) as speaker,
        await Listener.connect(options.url) as listener,
    ):
        run = Run(options, speaker, listener)
        passed = [
            await _report(number, title, test, run, console)
            for number, (title, test) in enumerate(TESTS, start=1)
        ]
    return outcome.OK if all(passed) else outcome.FAILED


async def _report(
    number: int, title: str, test: Callable[[Run], Awaitable[str]], run: Run, console: Console
) -> bool:
    started_s = time.monotonic()
    try:
        detail, passed = await test(run), True
    except Failed as failure:
        detail, passed = str(failure), False
    except BabelcastError as error:
        detail, passed = outcome.describe(error), False
    except BaseExceptionGroup as group:
        named, others = group.split(BabelcastError)
        if named is None or others is not None:
            raise
        detail, passed = outcome.describe(outcome.first(named)), False
    took_s = time.monotonic() - started_s
    verdict = ("PASS", "green") if passed else ("FAIL", "bold red")
    console.print(Text.assemble(verdict, f"  {number} {title}: {detail} [{took_s:.1f} s]"), soft_wrap=True)
    return passed


async def _session_creation(run: Run) -> str:
    session = await run.speaker.create_session(run.options.source_language)
    run.code = session.session_id
    return session.session_id


async def _audio_sending(run: Run) -> str:
    """The first second of the speech; what is wrong with it would come back as an error."""
    run.session()
    await _send(run, 0, FIRST_CHUNKS)
    await run.speaker.flush()
    status = await run.speaker.status()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(ERROR_TIMEOUT_S):
            async for event in run.speaker:
                if isinstance(event, Error):
                    raise Failed(f"{event.code}: {event.message}")
                if isinstance(event, Transcript):
                    break
    if not status.is_active:
        raise Failed("the session is not active")
    return f"{FIRST_CHUNKS} chunks taken"


async def _transcription(run: Run) -> str:
    """Go on speaking until words come back."""
    run.session()
    talking = asyncio.create_task(_send(run, FIRST_CHUNKS, None), name="talk")
    try:
        async with asyncio.timeout(TRANSCRIPT_TIMEOUT_S):
            async for event in run.speaker:
                if isinstance(event, Transcript) and event.text:
                    return f"{'final' if event.is_final else 'tentative'} words came"
                if isinstance(event, Error):
                    raise Failed(f"{event.code}: {event.message}")
    except TimeoutError:
        raise Failed(f"no words within {TRANSCRIPT_TIMEOUT_S:.0f} s") from None
    finally:
        talking.cancel()
        await asyncio.wait([talking])
    raise Failed("the session ended")


async def _listener_join(run: Run) -> str:
    joined = await run.listener.join(run.session(), run.options.target_language)
    return f"{joined.source_language} → {joined.target_language}, {joined.listener_count} listening"


async def _controls(run: Run) -> str:
    run.session()
    for action in CONTROLS:
        answer = await run.speaker.control(action)
        state = answer.broadcast_state
        effect = {
            "pause": state.is_paused,
            "resume": not state.is_paused,
            "mute": state.is_muted,
            "unmute": not state.is_muted,
        }
        if answer.control_action != action or not effect[action]:
            raise Failed(f"{action} had no effect")
    return ", ".join(CONTROLS)


async def _status(run: Run) -> str:
    code = run.session()
    status = await run.speaker.status()
    if status.session_id != code or not status.is_active or status.listener_count != 1:
        raise Failed(f"{status.listener_count} listeners, active: {status.is_active}; expected 1 and True")
    return "1 listener, active"


async def _whole_way(run: Run) -> str:
    """A session of its own from end to end; its latency is that from the end of a sentence to its voice."""
    options = run.options
    if run.code:
        await run.speaker.end("smoke")
    talk = await hold(
        options.url,
        token=options.token,
        speech=options.speech,
        source_language=options.source_language,
        target_languages=[options.target_language],
    )
    heard = talk.listeners[0]
    spoken = measures.spans(talk, measures.activity(options.speech))
    lags = measures.Summary.of(lag.delay_s for lag in measures.voice_lags(heard, spoken))
    if not lags.count:
        raise Failed("no translated audio came")
    if heard.gaps or lags.count < len(spoken):
        raise Failed(f"{lags.count} of {len(spoken)} sentences were heard")
    if lags.most_s >= LATENCY_LIMIT_S:
        raise Failed(f"latency {lags.most_s:.2f} s; less than {LATENCY_LIMIT_S:.0f} s is needed")
    return f"{lags.count} sentences, latency {lags.median_s:.2f} s median, {lags.most_s:.2f} s at most"


async def _send(run: Run, first: int, last: int | None) -> None:
    speech = run.options.speech
    async for chunk in pace.paced(pace.chunks(speech)[first:last]):
        await run.speaker.send_audio(chunk, sample_rate_hz=speech.sample_rate_hz)


TESTS: tuple[tuple[str, Callable[[Run], Awaitable[str]]], ...] = (
    ("speaker session creation", _session_creation),
    ("audio chunk sending", _audio_sending),
    ("transcription forwarding", _transcription),
    ("listener join", _listener_join),
    ("control messages", _controls),
    ("session status query", _status),
    ("end-to-end flow", _whole_way),
)
