"""Listeners of a talk on another gateway than its speaker's."""

from babelcast.session.v1 import session_pb2 as api
from tests.integration.gateway.stage import Stage, eventually


async def test_they_are_spoken_to(stage: Stage) -> None:
    """The owner has nobody of the language here, and has its voice made all the same, as Opus too."""
    talk = await stage.talk()
    await stage.desk.sessions.join(
        api.JoinSessionRequest(
            session_id=talk.session_id,
            connection_id="elsewhere",
            target_language="es",
            client_address="192.0.2.1",
        )
    )
    room = stage.room(talk)
    await eventually(lambda: room.session.audience.languages.get("es", 0) == 1)
    talk.hearing.final(0, "Good morning.")
    await eventually(lambda: stage.translation.asked("es") == [0])
    (target,) = stage.translation.segments[-1].targets
    assert (target.speak, target.opus) == (True, True)
