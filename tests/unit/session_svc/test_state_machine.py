"""The rules of sessions against a model of them: any order of requests, time and restarts."""

import asyncio
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Coroutine
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from babelcast.errors import BabelcastError, Detail, ErrorCode
from session_svc import roles
from session_svc.config import Policy, SessionConfig, policy
from session_svc.model import Audience, Controls, EndReason, Life, Role
from session_svc.quotas import Quota
from session_svc.roles import Action, Standing
from session_svc.sessions import SEAT_SLACK_MS, Granted
from session_svc.store.sqlite import SqliteStore
from tests.unit.session_svc.world import RecordingHub, World

SEATS = 2
STREAMS = 2
CONNECTIONS = [f"c{number}" for number in range(5)]
SPEAKERS = ["anna", "ben"]
LANGUAGES = ["es", "fr"]
ABSENT = "golden-eagle-999"

ResultT = TypeVar("ResultT")

connections = st.sampled_from(CONNECTIONS)
languages = st.sampled_from(LANGUAGES)
picks = st.integers(0, 7)
some_bool = st.none() | st.booleans()


@dataclass
class ModelSession:
    """A talk as it should be."""

    speaker_id: str
    created_ms: int
    expires_ms: int
    ends_ms: int
    reason: str = EndReason.EXPIRED
    ended: bool = False
    is_paused: bool = False
    is_muted: bool = False
    volume: float = 1.0

    def life(self, now: int) -> Life:
        return Life.OVER if self.ended or self.ends_ms <= now else Life.LIVE


@dataclass
class ModelSeat:
    """A seat as it should be; `token` is the one that is good, and for a while `former` if it has one. Of two
    seats the one with the higher `number` is newer.
    """

    code: str
    role: Role
    token: str
    until_ms: int
    language: str = ""
    request_id: str = ""
    present: bool = True
    former: str = ""
    former_until_ms: int = 0
    number: int = 0


class SessionRules(RuleBasedStateMachine):
    """What is asked of the rules is asked of the model too."""

    def __init__(self) -> None:
        super().__init__()
        self._directory = tempfile.TemporaryDirectory()
        self._file = Path(self._directory.name) / "sessions.sqlite3"
        self._runner = asyncio.Runner()
        self._talks: dict[str, ModelSession] = {}
        self._seats: dict[str, ModelSeat] = {}
        self._codes: list[str] = [ABSENT]
        self._tokens: list[tuple[str, str]] = [(ABSENT, "c0.secret")]
        self._told: dict[str, Detail] = {}
        self._limits: Policy = replace(
            policy(SessionConfig()),
            max_listeners=SEATS,
            max_streams=STREAMS,
            creates=Quota(10**6, 1),
            joins=Quota(10**6, 1),
        )
        self._world: World

    @initialize()
    def open(self) -> None:
        self._world = self._run(self._opened())

    async def _opened(self) -> World:
        return World(await SqliteStore.open(self._file), self._limits, RecordingHub())

    def teardown(self) -> None:
        self._run(self._world.store.aclose())
        self._runner.close()
        self._directory.cleanup()

    # what is asked

    @rule(
        connection=connections,
        speaker=st.sampled_from(SPEAKERS),
        request_id=st.sampled_from(["", "r1", "r2"]),
    )
    def create(self, connection: str, speaker: str, request_id: str) -> None:
        seat = self._counting(connection)
        answer = self._ask(self._world.created(connection, speaker, request_id))
        if seat is not None:
            again = (
                request_id != ""
                and seat.role is Role.SPEAKER
                and (seat.request_id, self._talks[seat.code].speaker_id) == (request_id, speaker)
            )
            if again:
                self._granted(answer, seat, connection)
            else:
                assert answer is ErrorCode.CONFLICT
            return
        ends = sorted(talk.ends_ms for talk in self._live_talks(speaker))
        if len(ends) >= STREAMS:
            assert answer is ErrorCode.MAX_SESSIONS_EXCEEDED
            assert self._told == {"limit": STREAMS, "retryAfter": (ends[-STREAMS] - self._now) / 1000}
            return
        assert isinstance(answer, Granted)
        code = answer.snapshot.session.session_id
        assert code not in self._talks
        expires_ms = self._now + self._limits.max_duration_ms
        self._talks[code] = ModelSession(speaker, self._now, expires_ms, expires_ms)
        self._codes.append(code)
        made = ModelSeat(code, Role.SPEAKER, "", self._seat_until, request_id=request_id)
        self._granted(answer, made, connection)

    @rule(connection=connections, pick=picks, language=languages)
    def join(self, connection: str, pick: int, language: str) -> None:
        code = self._code(pick)
        answer = self._ask(self._world.joined(code, connection, language))
        self._joined(answer, code, connection, language)

    @rule(connection=connections, pick=picks, language=languages)
    def join_with_a_token(self, connection: str, pick: int, language: str) -> None:
        code, token = self._token(pick)
        resumed = self._heir(code, connection, token)
        if resumed is not None and resumed.role is Role.SPEAKER:
            resumed = None
        answer = self._ask(self._world.joined(code, connection, language, token))
        if resumed is None:
            self._joined(answer, code, connection, language)
        else:
            self._taken_over(answer, replace(resumed, language=language), connection, token)

    @rule(connection=connections, pick=picks)
    def refresh(self, connection: str, pick: int) -> None:
        code, token = self._token(pick)
        self._refreshed(code, connection, token)

    @rule(connection=connections, pick=picks, other=picks)
    def refresh_elsewhere(self, connection: str, pick: int, other: int) -> None:
        self._refreshed(self._code(other), connection, self._token(pick)[1])

    @rule(connection=connections, owner=connections)
    def refresh_with_a_good_token(self, connection: str, owner: str) -> None:
        seat = self._seats.get(owner)
        if seat is not None:
            self._refreshed(seat.code, connection, seat.token)

    @rule(connection=connections, language=languages)
    def change_language(self, connection: str, language: str) -> None:
        seat = self._seats.get(connection)
        refused: ErrorCode | None = ErrorCode.UNAUTHORIZED_ACTION
        if seat is not None:
            refused = self._rule(Action.CHANGE_LANGUAGE, seat.code, connection)
        answer = self._ask(self._world.sessions.change_language(connection, language))
        if refused is not None:
            assert answer is refused
            return
        assert not isinstance(answer, ErrorCode)
        assert seat is not None
        seat.language = language

    @rule(
        connection=connections,
        pick=picks,
        is_paused=some_bool,
        is_muted=some_bool,
        volume=st.none() | st.sampled_from([0.0, 0.5, 1.0]),
    )
    def control(
        self, connection: str, pick: int, is_paused: bool | None, is_muted: bool | None, volume: float | None
    ) -> None:
        code = self._own_or(pick, connection)
        refused = self._rule(Action.UPDATE_BROADCAST, code, connection)
        controls = Controls(is_paused=is_paused, is_muted=is_muted, volume=volume)
        answer = self._ask(self._world.sessions.update_broadcast(code, connection, controls))
        if refused is not None:
            assert answer is refused
            return
        assert not isinstance(answer, ErrorCode)
        talk = self._talks[code]
        talk.is_paused = talk.is_paused if is_paused is None else is_paused
        talk.is_muted = talk.is_muted if is_muted is None else is_muted
        talk.volume = talk.volume if volume is None else volume

    @rule(connection=connections, pick=picks)
    def end(self, connection: str, pick: int) -> None:
        code = self._own_or(pick, connection)
        refused = self._rule(Action.END, code, connection)
        answer = self._ask(self._world.sessions.end(code, connection, "enough"))
        if refused is not None:
            assert answer is refused
            return
        assert not isinstance(answer, ErrorCode)
        talk = self._talks[code]
        talk.ended, talk.ends_ms, talk.reason = True, self._now, "enough"

    @rule(connection=connections)
    def disconnect(self, connection: str) -> None:
        assert not isinstance(self._ask(self._world.sessions.disconnect(connection)), ErrorCode)
        seat = self._counting(connection)
        if seat is not None:
            self._left(seat)

    # what happens by itself

    @rule(seconds=st.sampled_from([0.001, 1, 2, 5, 10, 30, 120, 7_200]))
    def time_passes(self, seconds: float) -> None:
        self._world.pass_s(seconds)

    @rule(pick=picks, early=st.booleans())
    def a_limit_is_reached(self, pick: int, early: bool) -> None:
        """To the millisecond at which something is over, or the last one before."""
        limits = {seat.until_ms for seat in self._seats.values()}
        limits |= {talk.ends_ms for talk in self._talks.values()}
        limits |= {talk.ends_ms + self._limits.remember_ms for talk in self._talks.values()}
        coming = sorted(at_ms for at_ms in limits if at_ms > self._now)
        if coming:
            self._world.now = coming[pick % min(3, len(coming))] - int(early)

    @rule(connection=connections, owner=connections, early=st.booleans())
    def come_back_at_the_last_moment(self, connection: str, owner: str, early: bool) -> None:
        seat = self._seats.get(owner)
        if seat is not None and seat.present and seat.role is Role.LISTENER:
            self.disconnect(owner)
        if seat is not None and not seat.present and seat.until_ms - early >= self._now:
            self._world.now = seat.until_ms - early
            self._refreshed(seat.code, connection, seat.token)

    @rule(connection=connections)
    def drop_shortly_before_the_end(self, connection: str) -> None:
        seat = self._counting(connection)
        if seat is not None:
            self._world.now = max(self._now, self._talks[seat.code].ends_ms - 10_000)
            self.disconnect(connection)

    @rule()
    def sweep(self) -> None:
        self._world.events()
        self._run(self._world.sessions.sweep())
        ended = []
        for code, talk in self._talks.items():
            if not talk.ended and talk.ends_ms <= self._now:
                talk.ended = True
                ended.append(code)
        for connection, seat in tuple(self._seats.items()):
            if seat.role is Role.LISTENER and seat.until_ms <= self._now:
                del self._seats[connection]
        for code, talk in tuple(self._talks.items()):
            if talk.ended and talk.ends_ms < self._now - self._limits.remember_ms:
                del self._talks[code]
                self._seats = {name: seat for name, seat in self._seats.items() if seat.code != code}
        told = [event.session_id for event in self._world.events() if not isinstance(event.change, Audience)]
        assert sorted(told) == sorted(ended)

    @precondition(lambda self: self._talks)
    @rule()
    def restart(self) -> None:
        """The service and all gateways stop, and start again on the same file."""
        self._run(self._restarted())
        for seat in self._seats.values():
            if seat.present:
                self._left(seat)

    async def _restarted(self) -> None:
        await self._world.store.aclose()
        self._world.store = await SqliteStore.open(self._file)
        self._world.sessions = self._world.made_with(self._limits)
        await self._world.sessions.disconnect_all()

    # what always holds

    @invariant()
    def sessions_are_as_the_model_has_them(self) -> None:
        for code in self._codes:
            answer = self._ask(self._world.sessions.get(code))
            talk = self._talks.get(code)
            if talk is None:
                assert answer is ErrorCode.SESSION_NOT_FOUND
                continue
            if talk.life(self._now) is Life.OVER:
                assert answer is ErrorCode.SESSION_ENDED
                continue
            assert not isinstance(answer, ErrorCode)
            session = answer.session
            state = session.broadcast
            assert (state.is_paused, state.is_muted, state.volume) == (
                talk.is_paused,
                talk.is_muted,
                talk.volume,
            )
            assert (session.expires_at_ms, session.ends_at_ms, session.end_reason) == (
                talk.expires_ms,
                talk.ends_ms,
                talk.reason,
            )
            assert answer.audience.languages == self._audience(code)
            assert answer.audience.listener_count <= SEATS

    @invariant()
    def counts_are_rows(self) -> None:
        with closing(sqlite3.connect(self._file)) as record:
            rows = record.execute(
                "SELECT connection_id, session_id, role, target_language, present FROM seats"
            ).fetchall()
        assert sorted(rows) == sorted(
            (name, seat.code, seat.role.value, seat.language, int(seat.present))
            for name, seat in self._seats.items()
        )

    @invariant()
    def no_speaker_has_too_many_sessions(self) -> None:
        for speaker in SPEAKERS:
            assert len(self._live_talks(speaker)) <= STREAMS

    @invariant()
    def no_session_has_two_speakers(self) -> None:
        speakers = Counter(
            seat.code for seat in self._seats.values() if seat.role is Role.SPEAKER and seat.present
        )
        assert all(count == 1 for count in speakers.values())

    # the model

    @property
    def _now(self) -> int:
        return self._world.now

    @property
    def _seat_until(self) -> int:
        return self._now + self._limits.max_duration_ms + SEAT_SLACK_MS

    def _life(self, code: str) -> Life:
        talk = self._talks.get(code)
        return Life.ABSENT if talk is None else talk.life(self._now)

    def _live_talks(self, speaker: str) -> list[ModelSession]:
        """A speaker's sessions that are on, whoever of his connections has them."""
        return [
            talk
            for talk in self._talks.values()
            if talk.speaker_id == speaker and talk.life(self._now) is Life.LIVE
        ]

    def _counting(self, connection: str) -> ModelSeat | None:
        seat = self._seats.get(connection)
        return seat if seat is not None and seat.present and self._life(seat.code) is Life.LIVE else None

    def _audience(self, code: str) -> dict[str, int]:
        return dict(
            Counter(
                seat.language
                for seat in self._seats.values()
                if seat.code == code and seat.role is Role.LISTENER and seat.present
            )
        )

    def _standing(self, code: str, connection: str) -> Standing:
        seat = self._counting(connection)
        if seat is None:
            return Standing.STRANGER
        if seat.role is Role.SPEAKER:
            return Standing.OWNER if seat.code == code else Standing.OTHER_SPEAKER
        return Standing.LISTENER if seat.code == code else Standing.OTHER_LISTENER

    def _rule(self, action: Action, code: str, connection: str) -> ErrorCode | None:
        return roles.rule(action, self._standing(code, connection), self._life(code))

    def _full(self, code: str) -> bool:
        return sum(self._audience(code).values()) >= SEATS

    def _owner_of(self, code: str, token: str) -> ModelSeat | None:
        """Whose good token that is."""
        return self._seats.get(self._holder(code, token))

    def _holder(self, code: str, token: str) -> str:
        """The connection with that seat, or no connection."""
        holder = token.rpartition(".")[0]
        seat = self._seats.get(holder)
        if seat is not None and (seat.code, seat.token) == (code, token):
            return holder
        if seat is None:
            heirs = [c for c, heir in self._seats.items() if heir.former.rpartition(".")[0] == holder]
            holder = max(heirs, key=lambda connection: self._seats[connection].number, default="")
            seat = self._seats.get(holder)
        if seat is None or (seat.code, seat.former) != (code, token) or seat.former_until_ms <= self._now:
            return ""
        return holder

    def _heir(self, code: str, connection: str, token: str) -> ModelSeat | None:
        """The seat that a connection takes over with a token."""
        seat = self._owner_of(code, token)
        if seat is None or self._life(code) is not Life.LIVE or self._counting(connection) is not None:
            return None
        if seat.role is Role.LISTENER and seat.until_ms <= self._now:
            return None
        if seat.role is Role.LISTENER and not seat.present and self._full(code):
            return None
        return seat

    def _joined(self, answer: Granted | ErrorCode, code: str, connection: str, language: str) -> None:
        seat = self._counting(connection)
        if seat is not None and (seat.code, seat.role, seat.language) == (code, Role.LISTENER, language):
            self._granted(answer, seat, connection)
            return
        refused = self._rule(Action.JOIN, code, connection)
        if refused is None and self._full(code):
            refused = ErrorCode.SESSION_FULL
        if refused is not None:
            assert answer is refused
            return
        self._granted(answer, ModelSeat(code, Role.LISTENER, "", self._seat_until, language), connection)

    def _refreshed(self, code: str, connection: str, token: str) -> None:
        seat, owner = self._heir(code, connection, token), self._owner_of(code, token)
        refused = self._rule(Action.REFRESH, code, connection)
        answer = self._ask(self._world.sessions.refresh(code, connection_id=connection, resume_token=token))
        if seat is not None:
            self._taken_over(answer, seat, connection, token)
        elif refused is not None:
            assert answer is refused
        elif owner is not None and owner.role is Role.LISTENER and owner.until_ms > self._now:
            assert answer is ErrorCode.SESSION_FULL
        else:
            assert answer is ErrorCode.UNAUTHORIZED

    def _taken_over(self, answer: Granted | ErrorCode, seat: ModelSeat, connection: str, token: str) -> None:
        before = self._holder(seat.code, token)
        assert isinstance(answer, Granted)
        assert answer.previous_connection_id == before
        old = self._seats.pop(before)
        until_ms = old.former_until_ms if old.token != token else self._now + self._limits.resume_ms
        heir = ModelSeat(
            seat.code,
            seat.role,
            "",
            self._seat_until,
            seat.language,
            former=token,
            former_until_ms=until_ms,
            number=len(self._tokens),
        )
        if seat.role is Role.SPEAKER:
            talk = self._talks[seat.code]
            talk.expires_ms = talk.ends_ms = self._now + self._limits.max_duration_ms
            talk.reason = EndReason.EXPIRED
        self._granted(answer, heir, connection)

    def _granted(self, answer: Granted | ErrorCode, seat: ModelSeat, connection: str) -> None:
        assert isinstance(answer, Granted)
        assert (answer.role, answer.target_language) == (seat.role, seat.language)
        assert answer.snapshot.session.session_id == seat.code
        assert all(answer.resume_token != token for _, token in self._tokens)
        seat.token = answer.resume_token
        self._seats[connection] = seat
        self._tokens.append((seat.code, seat.token))
        assert answer.snapshot.audience.languages == self._audience(seat.code)

    def _left(self, seat: ModelSeat) -> None:
        seat.present = False
        if seat.role is Role.LISTENER:
            seat.until_ms = self._now + self._limits.resume_ms
            return
        talk = self._talks[seat.code]
        if talk.life(self._now) is Life.LIVE:
            grace_ms = self._now + self._limits.grace_ms
            talk.ends_ms = min(talk.expires_ms, grace_ms)
            talk.reason = EndReason.SPEAKER_DISCONNECTED if grace_ms < talk.expires_ms else EndReason.EXPIRED

    # the way to the rules

    def _code(self, pick: int) -> str:
        """One of the newest, since those are full of people, or rarely one that never was."""
        return ABSENT if pick == 7 else self._codes[-1 - pick % min(2, len(self._codes))]

    def _own_or(self, pick: int, connection: str) -> str:
        """Mostly the session that the connection is in."""
        seat = self._seats.get(connection)
        return self._code(pick) if seat is None or pick % 4 == 0 else seat.code

    def _token(self, pick: int) -> tuple[str, str]:
        return self._tokens[-1 - pick % len(self._tokens)]

    def _run(self, asked: Coroutine[None, None, ResultT]) -> ResultT:
        return self._runner.run(asked)

    def _ask(self, asked: Coroutine[None, None, ResultT]) -> ResultT | ErrorCode:
        try:
            return self._run(asked)
        except BabelcastError as error:
            self._told = dict(error.details)
            return error.code


TestSessionRules = SessionRules.TestCase
TestSessionRules.settings = settings(max_examples=100, stateful_step_count=40)
