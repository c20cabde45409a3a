"""`babelcast smoke`: the seven smoke tests of a deployment, against a running system."""

import asyncio
import contextlib
import re
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

import msgspec
from rich.console import Console
from rich.text import Text

from babelcast.client import Listener, Speaker, pace
from babelcast.errors import BabelcastError, ErrorCode, RemoteError
from babelcast.protocol.client_messages import ControlAction
from babelcast.protocol.server_messages import Error, Transcript
from babelcast.wav import Sound
from bench import measures
from bench.talk import hold
from cli import counters, outcome

CONTROLS: tuple[ControlAction, ...] = ("pause", "resume", "mute", "unmute")
TRANSCRIPT_TIMEOUT_S = 20.0
ERROR_TIMEOUT_S = 1.0
LATENCY_LIMIT_S = 5.0
FIRST_CHUNKS = 10
LEFT_BEHIND_S = 60.0
"""For how long, at most, a session may still count that tests before these were cut off from."""
TIMEOUT_S = 180.0
"""For all tests together."""
_CODE = re.compile(r"[a-z]+-[a-z]+-[0-9]+")


@dataclass(frozen=True, slots=True)
class SmokeOptions:
    """What is tested, with which speech. With `metrics_urls` the system's counters must tell of no fault."""

    url: str
    token: str
    speech: Sound
    source_language: str
    target_language: str
    metrics_urls: Sequence[str] = ()
    timeout_s: float = TIMEOUT_S


class Tested(msgspec.Struct, frozen=True):
    """One test's result."""

    number: int
    title: str
    passed: bool
    detail: str
    seconds: float


class Verdict(msgspec.Struct):
    """All of it, as `--json` prints it."""

    url: str
    passed: bool = False
    seconds: float = 0.0
    tests: list[Tested] = []
    faults: Mapping[str, float] = {}
    """What the system's own counters grew by, where they were asked and should not have."""
    error: str = ""
    """Why there are no tests, or not all of them."""


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
    """Run the tests one after the other and print a line for each; returns the exit code.

    Raises: BabelcastError when the system cannot be reached at all.
    """
    verdict = await judge(options, lambda tested: _print(tested, console))
    if verdict.error:
        _print_line(console, passed=False, words=verdict.error)
    for name, change in verdict.faults.items():
        _print_line(console, passed=False, words=f"{name} grew by {change:g}")
    return outcome.OK if verdict.passed else outcome.FAILED


async def smoke_for_programs(options: SmokeOptions, write: Callable[[str], object]) -> int:
    """Run the tests and write a Verdict as JSON, also when the system cannot be reached; returns the exit
    code.
    """
    try:
        verdict = await judge(options)
    except (BabelcastError, OSError) as error:
        verdict = Verdict(options.url, error=outcome.describe(error))
    write(msgspec.json.format(msgspec.json.encode(verdict)).decode() + "\n")
    return outcome.OK if verdict.passed else outcome.FAILED


async def judge(options: SmokeOptions, on_test: Callable[[Tested], object] = lambda _: None) -> Verdict:
    """Run the tests for `timeout_s` at most.

    Raises: BabelcastError when the system, or a metrics endpoint, cannot be reached at all.
    """
    verdict = Verdict(options.url, tests=[])
    started_s = time.monotonic()
    before = await counters.read(options.metrics_urls)
    try:
        async with asyncio.timeout(options.timeout_s):
            await _run_all(options, verdict, on_test)
    except TimeoutError:
        verdict.error = f"{len(verdict.tests)} of {len(TESTS)} tests were done after {options.timeout_s:g} s"
    after = await counters.read(options.metrics_urls)
    verdict.faults = counters.grown(before, after)
    if options.metrics_urls and not any(page[counters.CHUNKS] for page in after) and not verdict.error:
        verdict.error = "no metrics tell of the audio that was sent"
    verdict.seconds = round(time.monotonic() - started_s, 3)
    all_passed = len(verdict.tests) == len(TESTS) and all(tested.passed for tested in verdict.tests)
    verdict.passed = all_passed and not verdict.faults and not verdict.error
    return verdict


async def _run_all(options: SmokeOptions, verdict: Verdict, on_test: Callable[[Tested], object]) -> None:
    async with (
        await Speaker.connect(options.url, token=options.token) as speaker,
        await Listener.connect(options.url) as listener,
    ):
        run = Run(options, speaker, listener)
        for number, (title, test) in enumerate(TESTS, start=1):
            verdict.tests.append(await _tested(number, title, test, run))
            on_test(verdict.tests[-1])


async def _tested(number: int, title: str, test: Callable[[Run], Awaitable[str]], run: Run) -> Tested:
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
    return Tested(number, title, passed, detail, round(time.monotonic() - started_s, 3))


def _print(tested: Tested, console: Console) -> None:
    words = f"{tested.number} {tested.title}: {tested.detail} [{tested.seconds:.1f} s]"
    _print_line(console, passed=tested.passed, words=words)


def _print_line(console: Console, *, passed: bool, words: str) -> None:
    verdict = ("PASS", "green") if passed else ("FAIL", "bold red")
    console.print(Text.assemble(verdict, f"  {words}"), soft_wrap=True)


async def _session_creation(run: Run) -> str:
    try:
        session = await run.speaker.create_session(run.options.source_language)
    except RemoteError as error:
        wait_s = error.details.get("retryAfter")
        if error.code is not ErrorCode.MAX_SESSIONS_EXCEEDED or not isinstance(wait_s, int | float):
            raise
        if wait_s > LEFT_BEHIND_S:
            raise
        # Tests that were cut off leave a session behind, which waits for its speaker for a while.
        await asyncio.sleep(wait_s)
        session = await run.speaker.create_session(run.options.source_language)
    if not _CODE.fullmatch(session.session_id):
        raise Failed(f"{session.session_id!r} is no code of a session")
    run.code = session.session_id
    if not (await run.speaker.status()).is_active:
        raise Failed("the record does not know the session")
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
    state = status.broadcast_state
    if state.is_paused or state.is_muted:
        raise Failed("the session is paused or muted after resume and unmute")
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
    if talk.problems:
        raise Failed(f"the system reported: {talk.problems[0]}")
    if heard.gaps or lags.count < len(spoken):
        raise Failed(f"{lags.count} of {len(spoken)} sentences were heard")
    if not all(voice.audio and voice.message.duration > 0 for _, voice in heard.voices):
        raise Failed("a voice without sound came")
    if not all(voice.message.dynamics.emotion for _, voice in heard.voices):
        raise Failed("a voice came without the speaker's manner")
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
