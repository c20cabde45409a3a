"""The rules of sessions."""

import asyncio

import pytest

from babelcast.errors import (
    BabelcastError,
    Conflict,
    ErrorCode,
    Forbidden,
    InvalidLanguage,
    InvalidParameter,
    InvalidSessionId,
    MaxSessionsExceeded,
    MissingParameter,
    RateLimitExceeded,
    ServiceUnavailable,
    SessionEnded,
    SessionFull,
    SessionNotFound,
    Unauthorized,
    UnauthorizedAction,
)
from session_svc.events import Ended, Event
from session_svc.model import Audience, Controls, Life, Role, Settings
from session_svc.roles import Action, Standing, rule
from session_svc.sessions import CODE_ATTEMPTS, Granted, Sessions
from tests.unit.session_svc.world import World


async def test_a_session_is_made(world: World) -> None:
    """The code is readable, the speaker seated, the audience empty, the end two hours away."""
    granted = await world.created()
    session = granted.snapshot.session
    assert granted.role is Role.SPEAKER
    assert session.speaker_id == "anna"
    assert session.expires_at_ms == world.now + 2 * 3_600_000
    assert granted.snapshot.audience.listener_count == 0
    assert (await world.sessions.get(session.session_id.upper())).session == session


async def test_a_repeated_create(world: World) -> None:
    """The same request gives the same session, uncounted, with a token that works; others do not."""
    sessions = world.with_limits()
    first = await world.created(request_id="r1")
    code = first.snapshot.session.session_id
    again = await world.created(request_id="r1")
    assert again.snapshot.session == first.snapshot.session
    assert again.resume_token != first.resume_token
    with pytest.raises(Conflict):
        await world.created(request_id="r2")
    with pytest.raises(Conflict):
        await world.created(request_id="r1", speaker_id="eve")
    with pytest.raises(Unauthorized):
        await sessions.refresh(code, connection_id="c2", resume_token=first.resume_token)
    assert await sessions.refresh(code, connection_id="c2", resume_token=again.resume_token)


async def test_a_repeated_create_without_a_request_id(world: World) -> None:
    """Without a request id, a second create on the connection is a conflict."""
    await world.created()
    with pytest.raises(Conflict):
        await world.created()


async def test_an_operators_end(world: World) -> None:
    """It needs no seat, is told to everybody with its reason, and happens once."""
    code = (await world.created()).snapshot.session.session_id
    await world.joined(code)
    world.events()
    ended = await world.sessions.close(code.upper(), "")
    assert ended.audience.listener_count == 1
    assert world.events() == [Event(code, Ended("endedByOperator"))]
    with pytest.raises(SessionEnded):
        await world.sessions.close(code, "")
    with pytest.raises(SessionNotFound):
        await world.sessions.close("silver-otter-100", "")
    with pytest.raises(InvalidParameter):
        await world.sessions.close(code, "x" * 65)


async def test_pages_are_bounded(world: World) -> None:
    """The usual size when none is given, and never more than the largest."""
    for number in range(101):
        await world.created(f"c{number}", speaker_id=f"s{number}")
    first = await world.sessions.page("")
    assert len(first.snapshots) == 50
    assert len((await world.sessions.page("", size=1000)).snapshots) == 100
    rest = await world.sessions.page(first.cursor, size=100)
    assert (len(rest.snapshots), rest.cursor) == (51, "")
    with pytest.raises(InvalidParameter):
        await world.sessions.page("", size=-1)
    with pytest.raises(InvalidParameter):
        await world.sessions.page("x" * 129)


async def test_a_speakers_hash(world: World) -> None:
    """Is the same for the same speaker, another for others, and does not hold the identity."""
    sessions = [
        (await world.created(f"c{number}", speaker_id=speaker)).snapshot.session
        for number, speaker in enumerate(("anna", "anna", "ben"))
    ]
    first, second, third = map(world.sessions.speaker_hash, sessions)
    assert first == second != third
    assert len(first) == 16
    assert "anna" not in first


async def test_concurrent_repeats_make_one_session(world: World) -> None:
    """Twenty copies of one request at once make one session."""
    made = await asyncio.gather(*(world.created(request_id="r1") for _ in range(20)))
    assert len({granted.snapshot.session.session_id for granted in made}) == 1


async def test_the_same_request_id_on_another_connection(world: World) -> None:
    """Clients that count their requests from one are not handed an old session."""
    first = await world.created("c1", request_id="1")
    second = await world.created("c2", request_id="1")
    assert first.snapshot.session.session_id != second.snapshot.session.session_id


async def test_codes_do_not_collide(world: World) -> None:
    """A code that is taken is drawn again."""
    world.numbers = [1, 2, 3, 1, 2, 3, 1, 2, 3, 4, 5, 6]
    first = await world.created("c1")
    second = await world.created("c2")
    assert first.snapshot.session.session_id != second.snapshot.session.session_id
    assert not world.numbers


async def test_no_code_left(world: World) -> None:
    """When chance finds no free code, that is said, after a bounded number of tries."""
    world.numbers = [1, 2, 3] * (CODE_ATTEMPTS + 1)
    await world.created("c1")
    with pytest.raises(ServiceUnavailable):
        await world.created("c2")


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        (Settings(source_language="english!"), InvalidLanguage),
        (Settings(source_language=""), InvalidLanguage),
        (Settings(source_language="en", min_stability=0.5), InvalidParameter),
        (Settings(source_language="en", max_buffer_timeout_s=11), InvalidParameter),
    ],
)
async def test_settings_are_checked(world: World, settings: Settings, error: type[BabelcastError]) -> None:
    """A session is not made with settings out of range."""
    with pytest.raises(error):
        await world.sessions.create(settings, request_id="", speaker_id="s", connection_id="c")
    assert await world.store.seat("c") is None


async def test_identities_are_checked(world: World) -> None:
    """Calls without, or with endless, identities are refused."""
    with pytest.raises(MissingParameter):
        await world.created(connection_id="")
    with pytest.raises(MissingParameter):
        await world.created(speaker_id="")
    with pytest.raises(InvalidParameter):
        await world.created(connection_id="c" * 129)
    with pytest.raises(InvalidParameter):
        await world.created(request_id="r" * 65)
    code = (await world.created()).snapshot.session.session_id
    with pytest.raises(MissingParameter):
        await world.joined(code, connection_id="")
    with pytest.raises(MissingParameter):
        await world.sessions.refresh(code, connection_id="c", resume_token="")


async def test_session_ids_are_checked(world: World) -> None:
    """What cannot be a code, and what is none, have different answers."""
    with pytest.raises(InvalidSessionId):
        await world.sessions.get("no-such")
    with pytest.raises(SessionNotFound):
        await world.sessions.get("golden-eagle-427")


async def test_sessions_per_hour(world: World) -> None:
    """The 51st session within an hour is refused with the time to wait, which is right."""
    for number in range(50):
        await world.created(f"c{number}")
    with pytest.raises(RateLimitExceeded) as raised:
        await world.created("c50")
    assert await world.created("other", speaker_id="ben"), "others are not concerned"
    retry_after = raised.value.details["retryAfter"]
    assert isinstance(retry_after, float)
    assert 0 < retry_after <= 3600
    world.pass_s(retry_after - 0.001)
    with pytest.raises(RateLimitExceeded):
        await world.created("c50")
    world.pass_s(0.001)
    assert await world.created("c50")


async def test_joins_per_address(world: World) -> None:
    """Joins are limited per address; another address, and a listener who comes back, are not concerned."""
    code = (await world.created()).snapshot.session.session_id
    sessions = world.with_limits()

    async def join(number: int, address: str, token: str = "") -> str:
        granted = await sessions.join(
            code,
            connection_id=f"c{number}",
            target_language="es",
            client_address=address,
            resume_token=token,
        )
        return granted.resume_token

    tokens = [await join(number, "192.0.2.1") for number in range(2)]
    for number in range(2, 500):
        await join(number, "192.0.2.1")
        await sessions.disconnect(f"c{number}")
    for number in range(500, 600):
        await join(number, "192.0.2.1")
    with pytest.raises(RateLimitExceeded):
        await join(600, "192.0.2.1")
    assert await join(601, "192.0.2.2")
    fresh = await join(602, "192.0.2.1", tokens[0])
    assert await join(604, "192.0.2.1", fresh)
    assert await join(1, "192.0.2.1"), "a repeated join is not a new one"
    with pytest.raises(RateLimitExceeded):
        await join(603, "192.0.2.1", tokens[0])


async def test_a_speaker_has_one_session(world: World) -> None:
    """A second one is refused until the first is over, and the refusal says when that will be."""
    sessions = world.with_limits(max_streams=1)

    async def create(connection_id: str, request_id: str = "", speaker_id: str = "anna") -> Granted:
        return await sessions.create(
            Settings("en"), request_id=request_id, speaker_id=speaker_id, connection_id=connection_id
        )

    first = await create("c1", "r1")
    code = first.snapshot.session.session_id
    assert (await create("c1", "r1")).snapshot.session.session_id == code, "the same request"
    assert await create("c2", speaker_id="ben")
    with pytest.raises(MaxSessionsExceeded) as refused:
        await create("c3")
    assert refused.value.details == {"limit": 1, "retryAfter": 7200.0}
    await sessions.disconnect("c1")
    world.pass_s(12.5)
    with pytest.raises(MaxSessionsExceeded) as refused:
        await create("c3")
    assert refused.value.details["retryAfter"] == 17.5
    world.pass_s(17.5)
    assert (await create("c3")).snapshot.session.session_id != code


async def test_copies_of_a_request_under_the_limit(world: World) -> None:
    """Twenty copies of one request at once make one session, and none of them is refused."""
    sessions = world.with_limits(max_streams=1)
    made = await asyncio.gather(
        *(
            sessions.create(Settings("en"), request_id="r1", speaker_id="anna", connection_id="c1")
            for _ in range(20)
        )
    )
    assert len({granted.snapshot.session.session_id for granted in made}) == 1


async def test_a_listener_joins(world: World) -> None:
    """The answer counts the listener, and so does whoever watches."""
    code = (await world.created()).snapshot.session.session_id
    granted = await world.joined(code, language="es-MX")
    assert granted.snapshot.audience == Audience({"es": 1})
    assert granted.target_language == "es"
    assert world.events() == [Event(code, Audience({"es": 1}))]


async def test_a_repeated_join(world: World) -> None:
    """Joining again changes nothing but the token; joining otherwise is a conflict."""
    code = (await world.created()).snapshot.session.session_id
    other = (await world.created("c-other")).snapshot.session.session_id
    await world.joined(code)
    world.events()
    again = await world.joined(code)
    assert again.snapshot.audience == Audience({"es": 1})
    assert world.events() == []
    assert await world.sessions.refresh(code, connection_id="c2", resume_token=again.resume_token)
    await world.joined(code, "c3")
    for where, language in ((code, "fr"), (other, "es")):
        with pytest.raises(Conflict):
            await world.joined(where, "c3", language)
    with pytest.raises(Conflict):
        await world.joined(code, "c-speaker")


async def test_concurrent_repeats_take_one_seat(world: World) -> None:
    """Twenty copies of one join at once take one seat."""
    code = (await world.created()).snapshot.session.session_id
    await asyncio.gather(*(world.joined(code) for _ in range(20)))
    assert (await world.sessions.get(code)).audience.listener_count == 1


async def test_capacity(world: World) -> None:
    """Of 200 concurrent joins, with room for 50, exactly 50 get in, and a seat that is left is free again."""
    sessions = world.with_limits(max_listeners=50)
    code = (await world.created()).snapshot.session.session_id

    async def join(number: int) -> bool:
        try:
            await sessions.join(code, connection_id=f"c{number}", target_language="es")
        except SessionFull as error:
            assert error.details["limit"] == 50
            return False
        return True

    let_in = await asyncio.gather(*map(join, range(200)))
    assert sum(let_in) == 50
    assert (await sessions.get(code)).audience == Audience({"es": 50})
    await sessions.disconnect(f"c{let_in.index(True)}")
    assert await join(200)
    assert not await join(201)


async def test_a_listener_leaves_and_comes_back(world: World) -> None:
    """A listener who dropped keeps the right to the seat for the resume window, in the same language."""
    code = (await world.created()).snapshot.session.session_id
    token = (await world.joined(code)).resume_token
    await world.sessions.disconnect("c-listener")
    assert (await world.sessions.get(code)).audience.listener_count == 0
    world.pass_s(119)
    back = await world.sessions.refresh(code, connection_id="c2", resume_token=token)
    assert (back.role, back.target_language, back.previous_connection_id) == (
        Role.LISTENER,
        "es",
        "c-listener",
    )
    assert [event.change for event in world.events()] == [
        Audience({"es": 1}),
        Audience({}),
        Audience({"es": 1}),
    ]


async def test_the_resume_window_closes(world: World) -> None:
    """Later than that a refresh is refused, and a join with the old token is an ordinary join."""
    code = (await world.created()).snapshot.session.session_id
    token = (await world.joined(code)).resume_token
    await world.sessions.disconnect("c-listener")
    world.pass_s(121)
    with pytest.raises(Unauthorized):
        await world.sessions.refresh(code, connection_id="c2", resume_token=token)
    assert (await world.joined(code, "c2", "fr", token)).previous_connection_id == ""


async def test_taking_over_a_seat_that_is_still_taken(world: World) -> None:
    """Whoever has the token takes the seat over: one listener, no change of audience, the old one gone."""
    code = (await world.created()).snapshot.session.session_id
    token = (await world.joined(code)).resume_token
    world.events()
    back = await world.joined(code, "c2", "es", token)
    assert back.snapshot.audience == Audience({"es": 1})
    assert back.previous_connection_id == "c-listener"
    await world.sessions.disconnect("c-listener")
    assert (await world.sessions.get(code)).audience == Audience({"es": 1})
    assert world.events() == []
    moved = await world.joined(code, "c3", "fr", back.resume_token)
    assert moved.snapshot.audience == Audience({"fr": 1})
    assert world.events() == [Event(code, Audience({"fr": 1}))]


async def test_coming_back_to_a_full_session(world: World) -> None:
    """A seat that was given to somebody else is not to be had."""
    sessions = world.with_limits(max_listeners=1)
    code = (await world.created()).snapshot.session.session_id
    token = (await sessions.join(code, connection_id="c1", target_language="es")).resume_token
    await sessions.disconnect("c1")
    await sessions.join(code, connection_id="c2", target_language="es")
    with pytest.raises(SessionFull):
        await sessions.refresh(code, connection_id="c3", resume_token=token)
    with pytest.raises(SessionFull):
        await sessions.join(code, connection_id="c3", target_language="es", resume_token=token)


async def test_resume_tokens(world: World) -> None:
    """A token is good for its own session and role, and no other text is."""
    speaker = await world.created()
    code = speaker.snapshot.session.session_id
    other = (await world.created("c-other")).snapshot.session.session_id
    token = (await world.joined(code)).resume_token
    for session_id, bad in [
        (other, token),
        (code, token[:-1] + ("A" if token[-1] != "A" else "B")),
        (code, token.replace("c-listener", "c-speaker")),
        (code, "no-dot"),
        (code, "." + token),
        (code, "x" * 600 + "." + token),
    ]:
        with pytest.raises(Unauthorized):
            await world.sessions.refresh(session_id, connection_id="c2", resume_token=bad)
    assert (await world.joined(code, "c5", "es", speaker.resume_token)).role is Role.LISTENER
    assert await world.sessions.refresh(code, connection_id="c2", resume_token=token)


async def test_refreshing_onto_a_connection_with_a_seat(world: World) -> None:
    """A connection has one role: taking another over is a conflict, and uses nothing up."""
    code = (await world.created()).snapshot.session.session_id
    token = (await world.joined(code)).resume_token
    await world.joined(code, "c2")
    with pytest.raises(Conflict):
        await world.sessions.refresh(code, connection_id="c2", resume_token=token)
    with pytest.raises(Conflict):
        await world.sessions.refresh(code, connection_id="c-listener", resume_token=token)
    assert await world.sessions.refresh(code, connection_id="c3", resume_token=token)


async def test_the_speaker_drops_and_does_not_come_back(world: World) -> None:
    """After the grace period the session ends, for that reason, reported once, and answers so for a while."""
    code = (await world.created()).snapshot.session.session_id
    await world.sessions.disconnect("c-speaker")
    assert world.woken == 2, "the timer hears of the new deadline"
    world.pass_s(29.999)
    assert await world.sessions.sweep() == world.now + 1
    assert await world.sessions.get(code)
    await world.joined(code)
    world.events()
    world.pass_s(0.001)
    with pytest.raises(SessionEnded):
        await world.sessions.get(code)
    for _ in range(2):
        await world.sessions.sweep()
    assert world.events() == [Event(code, Ended("speakerDisconnected"))]
    world.pass_s(600)
    with pytest.raises(SessionEnded):
        await world.joined(code, "c9")
    world.pass_s(0.001)
    await world.sessions.sweep()
    with pytest.raises(SessionNotFound):
        await world.joined(code, "c9")


@pytest.mark.parametrize("role", list(Role))
async def test_an_answer_that_is_lost(world: World, role: Role) -> None:
    """The token before it is good again until the new one is used, which nobody has then; each use gives
    another new one.
    """
    code, tokens = await _tokens(world, role)
    lost = await world.sessions.refresh(code, connection_id="c2", resume_token=tokens[0])
    again = await world.sessions.refresh(code, connection_id="c3", resume_token=tokens[0])
    assert (lost.previous_connection_id, again.previous_connection_id) == (f"c-{role}", "c2")
    assert again.snapshot.audience == lost.snapshot.audience
    with pytest.raises(Unauthorized):
        await world.sessions.refresh(code, connection_id="c4", resume_token=lost.resume_token)
    await world.sessions.disconnect("c3")
    last = await world.sessions.refresh(code, connection_id="c5", resume_token=tokens[0])
    used = await world.sessions.refresh(code, connection_id="c6", resume_token=last.resume_token)
    for token in (*tokens, lost.resume_token, again.resume_token):
        with pytest.raises(Unauthorized):
            await world.sessions.refresh(code, connection_id="c7", resume_token=token)
    assert await world.sessions.refresh(code, connection_id="c8", resume_token=used.resume_token)
    if role is Role.SPEAKER:
        assert (await world.sessions.get(code)).session.owner_epoch == 6


@pytest.mark.parametrize("role", list(Role))
async def test_a_token_that_was_used_is_not_good_for_long(world: World, role: Role) -> None:
    """Not longer than a client tries; nor in another session; and using it again gives it no more time."""
    code, tokens = await _tokens(world, role)
    other = (await world.created("c-other")).snapshot.session.session_id
    await world.sessions.refresh(code, connection_id="c2", resume_token=tokens[0])
    with pytest.raises(Unauthorized):
        await world.sessions.refresh(other, connection_id="c3", resume_token=tokens[0])
    with pytest.raises(Unauthorized):
        await world.sessions.refresh(code, connection_id="c3", resume_token=tokens[0][:-1] + "~")
    world.pass_s(119)
    await world.sessions.refresh(code, connection_id="c3", resume_token=tokens[0])
    world.pass_s(1)
    with pytest.raises(Unauthorized):
        await world.sessions.refresh(code, connection_id="c4", resume_token=tokens[0])


async def test_a_token_that_is_used_by_many_at_once(world: World) -> None:
    """One after the other has the seat, or is told to try again; there is one seat at the end."""
    code, (token,) = await _tokens(world, Role.LISTENER)
    used = [world.sessions.refresh(code, connection_id=f"n{i}", resume_token=token) for i in range(10)]
    outcomes = await asyncio.gather(*used, return_exceptions=True)
    assert any(isinstance(outcome, Granted) for outcome in outcomes)
    assert all(isinstance(outcome, Granted | Conflict) for outcome in outcomes)
    assert (await world.sessions.get(code)).audience == Audience({"es": 1})


async def _tokens(world: World, role: Role) -> tuple[str, list[str]]:
    """A session, and the token of its speaker or of a listener."""
    speaker = await world.created()
    code = speaker.snapshot.session.session_id
    granted = speaker if role is Role.SPEAKER else await world.joined(code)
    return code, [granted.resume_token]


async def test_the_speaker_comes_back(world: World) -> None:
    """Within the grace period the token takes the session over, its state as it was, its time anew."""
    granted = await world.created()
    code = granted.snapshot.session.session_id
    await world.sessions.update_broadcast(code, "c-speaker", Controls(is_paused=True, volume=0.5))
    await world.sessions.disconnect("c-speaker")
    world.pass_s(29)
    back = await world.sessions.refresh(code, connection_id="c2", resume_token=granted.resume_token)
    broadcast = back.snapshot.session.broadcast
    assert (back.role, broadcast.is_paused, broadcast.is_muted, broadcast.volume) == (
        Role.SPEAKER,
        True,
        False,
        0.5,
    )
    assert back.snapshot.session.expires_at_ms == world.now + 7_200_000
    world.pass_s(7_199)
    await world.sessions.disconnect("c-speaker")
    assert await world.sessions.get(code), "the lost connection has no say any more"
    with pytest.raises(Forbidden):
        await world.sessions.end(code, "c-speaker", "")
    assert (await world.sessions.end(code, "c2", "")).session.end_reason == "speakerEnded"


async def test_a_speaker_who_is_too_late(world: World) -> None:
    """After the grace period the token is of no use, even before the timer has run."""
    granted = await world.created()
    code = granted.snapshot.session.session_id
    await world.sessions.disconnect("c-speaker")
    world.pass_s(30)
    with pytest.raises(SessionEnded):
        await world.sessions.refresh(code, connection_id="c2", resume_token=granted.resume_token)


async def test_sessions_expire(world: World) -> None:
    """A session that is not refreshed ends; dropping shortly before does not prolong it."""
    code = (await world.created()).snapshot.session.session_id
    world.pass_s(7_195)
    await world.sessions.disconnect("c-speaker")
    world.pass_s(5)
    await world.sessions.sweep()
    assert world.events() == [Event(code, Ended("expired"))]


async def test_abandoned_seats_are_given_up(world: World) -> None:
    """A listener whose gateway vanished does not count for ever."""
    granted = await world.created()
    code = granted.snapshot.session.session_id
    await world.joined(code)
    world.pass_s(7_000)
    await world.sessions.refresh(code, connection_id="c2", resume_token=granted.resume_token)
    await world.joined(code, "c3", "fr")
    world.events()
    world.pass_s(500)
    assert await world.sessions.sweep() == world.now + (7_200 - 500) * 1000
    assert world.events() == [Event(code, Audience({"fr": 1}))]


async def test_ending(world: World) -> None:
    """The speaker ends the session, in their own words; everybody hears, and may start anew."""
    code = (await world.created()).snapshot.session.session_id
    await world.joined(code)
    world.events()
    with pytest.raises(InvalidParameter):
        await world.sessions.end(code, "c-speaker", "line\nbreak")
    ended = await world.sessions.end(code, "c-speaker", "lunch")
    assert ended.session.ended
    assert world.events() == [Event(code, Ended("lunch"))]
    await world.sessions.sweep()
    assert world.events() == []
    again = (await world.created()).snapshot.session.session_id
    await world.joined(again)
    assert again != code


async def test_broadcast_controls(world: World) -> None:
    """Fields that are absent stay; a change that changes nothing is not reported."""
    code = (await world.created()).snapshot.session.session_id
    world.pass_s(1)
    changed = world.now
    for controls in (Controls(is_muted=True), Controls(is_muted=True), Controls(volume=0.0), Controls()):
        snapshot = await world.sessions.update_broadcast(code, "c-speaker", controls)
    broadcast = snapshot.session.broadcast
    assert (broadcast.is_paused, broadcast.is_muted, broadcast.volume) == (False, True, 0.0)
    assert broadcast.last_change_ms == changed + 1
    assert len(world.events()) == 2
    for volume in (-0.1, 1.1, float("nan")):
        with pytest.raises(InvalidParameter):
            await world.sessions.update_broadcast(code, "c-speaker", Controls(volume=volume))


async def test_changing_language(world: World) -> None:
    """A listener moves; the distribution is exact; staying is not a change."""
    code = (await world.created()).snapshot.session.session_id
    await world.joined(code, "c1")
    await world.joined(code, "c2")
    world.events()
    moved = await world.sessions.change_language("c2", "fr-CA")
    assert moved.audience == Audience({"es": 1, "fr": 1})
    await world.sessions.change_language("c2", "fr")
    assert len(world.events()) == 1
    with pytest.raises(InvalidLanguage):
        await world.sessions.change_language("c2", "")
    with pytest.raises(UnauthorizedAction):
        await world.sessions.change_language("nobody", "fr")


async def test_unknown_connections_may_go(world: World) -> None:
    """A disconnect that comes twice, or from nowhere, is no error and no event."""
    code = (await world.created()).snapshot.session.session_id
    await world.joined(code)
    world.events()
    await world.sessions.disconnect("nobody")
    await world.sessions.disconnect("c-listener")
    await world.sessions.disconnect("c-listener")
    assert len(world.events()) == 1


async def test_all_connections_lost(world: World) -> None:
    """After a restart that took the gateways along, everybody may come back, or the session ends."""
    granted = await world.created()
    code = granted.snapshot.session.session_id
    token = (await world.joined(code)).resume_token
    gone = (await world.created("c-gone")).snapshot.session.session_id
    ended = (await world.created("c-ended")).snapshot.session.session_id
    await world.sessions.end(ended, "c-ended", "")
    await world.sessions.disconnect_all()
    assert (await world.sessions.get(code)).audience.listener_count == 0
    world.pass_s(20)
    await world.sessions.refresh(code, connection_id="c2", resume_token=granted.resume_token)
    await world.sessions.refresh(code, connection_id="c3", resume_token=token)
    world.pass_s(10)
    await world.sessions.sweep()
    assert (await world.sessions.get(code)).audience == Audience({"es": 1})
    with pytest.raises(SessionEnded):
        await world.sessions.get(gone)


async def test_the_last_event_is_the_truth(world: World) -> None:
    """However operations interleave, watchers end up with what is in the store."""
    code = (await world.created()).snapshot.session.session_id

    async def visit(number: int) -> None:
        connection = f"c{number}"
        await world.joined(code, connection, "es")
        await world.sessions.change_language(connection, "fr" if number % 3 else "pt")
        if number % 2:
            await world.sessions.disconnect(connection)

    await asyncio.gather(*map(visit, range(60)))
    events = world.events()
    assert events[-1].change == (await world.sessions.get(code)).audience
    assert len(events) == 60 + 60 + 30


async def _act(sessions: Sessions, action: Action, code: str, connection: str, token: str) -> None:
    match action:
        case Action.CREATE:
            await sessions.create(
                Settings(source_language="en"), request_id="x", speaker_id="x", connection_id=connection
            )
        case Action.JOIN:
            await sessions.join(code, connection_id=connection, target_language="pt")
        case Action.REFRESH:
            await sessions.refresh(code, connection_id=connection, resume_token=token)
        case Action.GET:
            await sessions.get(code)
        case Action.CHANGE_LANGUAGE:
            await sessions.change_language(connection, "pt")
        case Action.UPDATE_BROADCAST:
            await sessions.update_broadcast(code, connection, Controls(is_paused=True))
        case Action.END:
            await sessions.end(code, connection, "")


@pytest.mark.parametrize("life", list(Life))
@pytest.mark.parametrize("who", list(Standing))
@pytest.mark.parametrize("action", list(Action))
async def test_the_table_is_what_happens(world: World, action: Action, who: Standing, life: Life) -> None:
    """Every action by everybody in every state ends as the table says."""
    code = (await world.created("owner")).snapshot.session.session_id
    await world.joined(code, "listener")
    token = (await world.joined(code, "spare")).resume_token
    elsewhere = (await world.created("other speaker")).snapshot.session.session_id
    await world.joined(elsewhere, "other listener")
    connection = {
        Standing.STRANGER: "stranger",
        Standing.OWNER: "owner",
        Standing.LISTENER: "listener",
        Standing.OTHER_SPEAKER: "other speaker",
        Standing.OTHER_LISTENER: "other listener",
    }[who]
    if life is Life.OVER:
        await world.sessions.end(code, "owner", "")
    if life is Life.ABSENT:
        code = "golden-eagle-427"
    expected = rule(action, who, life)
    if life is not Life.LIVE and action is Action.CREATE and who in {Standing.OWNER, Standing.LISTENER}:
        # whoever was seated in a session that is over is free; with none there was no seat there at all
        expected = None if life is Life.OVER else ErrorCode.CONFLICT
    if action is Action.CHANGE_LANGUAGE:
        # the session is the one the connection sits in, so that it is never somebody else's, or absent
        seated = {Standing.OTHER_LISTENER: Standing.LISTENER, Standing.OTHER_SPEAKER: Standing.OWNER}
        over = life is Life.OVER and who in {Standing.OWNER, Standing.LISTENER}
        expected = rule(action, seated.get(who, who), Life.OVER if over else Life.LIVE)
    found: ErrorCode | None = None
    try:
        await _act(world.sessions, action, code, connection, token)
    except BabelcastError as error:
        found = error.code
    assert found == expected
