"""Everything at once: whoever comes, goes, drops and comes back, nobody sees a gap or a repetition."""

import asyncio
import random
from dataclasses import dataclass, field

import pytest

from tests.integration.gateway.client import Client, Message
from tests.integration.gateway.stage import Stage, Talk, eventually

LANGUAGES = ("es", "fr", "pt")
OPENERS = {"sessionJoined", "connectionRefreshComplete", "languageChanged"}


@dataclass(slots=True)
class Wanderer:
    """A listener who never stays long. `last` is the number it has heard last, in its language."""

    stage: Stage
    talk: Talk
    chance: random.Random
    client: Client | None = None
    token: str = ""
    last: int = 0
    language: str = "es"
    heard: int = 0
    steps: list[str] = field(default_factory=list)

    async def wander(self, steps: int) -> None:
        """Do something, again and again."""
        for _ in range(steps):
            if self.client is None:
                step = "resume" if self.token and self.chance.random() < 0.7 else "join"
            else:
                step = self.chance.choice(["listen", "listen", "change", "drop", "leave"])
            self.steps.append(step)
            await getattr(self, step)()
            for _ in range(self.chance.randrange(4)):
                await asyncio.sleep(0)

    async def join(self) -> None:
        self.client = await self.stage.client()
        self.language = self.chance.choice(LANGUAGES)
        joined = await self.client.ask(
            "sessionJoined",
            action="joinSession",
            sessionId=self.talk.session_id,
            targetLanguage=self.language,
        )
        self.token, self.last = joined["resumeToken"], joined["lastSequenceNumber"]

    async def resume(self) -> None:
        self.client = await self.stage.client()
        complete = await self.client.ask(
            "connectionRefreshComplete",
            action="refreshConnection",
            sessionId=self.talk.session_id,
            resumeToken=self.token,
            lastSequenceNumber=self.last,
        )
        self.token = complete["resumeToken"]
        assert complete["targetLanguage"] == self.language

    async def listen(self) -> None:
        assert self.client is not None
        self.stage.clock.now_s += 10
        await self.client.fence()
        self._check()

    async def change(self) -> None:
        assert self.client is not None
        language = self.chance.choice([other for other in LANGUAGES if other != self.language])
        await self.client.ask("languageChanged", action="changeLanguage", targetLanguage=language)
        self._check()

    async def drop(self) -> None:
        assert self.client is not None
        self._check()
        self.client.drop()
        self.client = None

    async def leave(self) -> None:
        assert self.client is not None
        self._check()
        await asyncio.gather(self.client.close(), self.client.closed())
        self.client, self.token = None, ""

    def _check(self) -> None:
        """Everything that came continues what came before, language by language."""
        assert self.client is not None
        for message in self._new(self.client):
            if message["type"] == "languageChanged":
                self.language, self.last = message["targetLanguage"], message["lastSequenceNumber"]
            elif message["type"] == "translatedAudio":
                assert message["targetLanguage"] == self.language, self.steps
                assert message["sequenceNumber"] == self.last + 1, self.steps
                self.last += 1
                self.heard += 1
            else:
                assert message["type"] != "error", (message, self.steps)

    @staticmethod
    def _new(client: Client) -> list[Message]:
        seen, client.seen = client.seen, []
        client._cursor = 0
        return seen


@pytest.mark.parametrize("seed", range(4))
async def test_chaos(stage: Stage, seed: int) -> None:
    """Twelve wandering listeners, a speaker who takes over from himself, and streams that keep breaking."""
    chance = random.Random(seed)
    talk = await stage.talk()
    steady = await stage.listener(talk, "es")
    listening = asyncio.create_task(steady.until("sessionEnded", patience_s=60))
    wanderers = [Wanderer(stage, talk, random.Random(100 * seed + number)) for number in range(12)]
    enough = asyncio.Event()
    segment, token = 0, talk.created["resumeToken"]

    async def speak() -> None:
        nonlocal segment, token
        while not enough.is_set():
            talk.hearing.final(segment, f"Sentence {segment}.", end_ms=segment)
            if chance.random() < 0.15:
                talk.hearing.cut()
                talk.hearing = await stage.transcription.opened()
                segment = talk.hearing.config.first_segment
            else:
                segment += 1
            if chance.random() < 0.1:
                stage.translation.cut()
            if chance.random() < 0.1:
                client = await stage.client()
                complete = await client.ask(
                    "connectionRefreshComplete",
                    action="refreshConnection",
                    sessionId=talk.session_id,
                    resumeToken=token,
                )
                token = complete["resumeToken"]
                talk.speaker = client
            await asyncio.sleep(0.004)  # a pace at which nobody here counts as slow

    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        group.create_task(speak())
        await asyncio.gather(*(wanderer.wander(25) for wanderer in wanderers))
        enough.set()
    assert sum(wanderer.heard for wanderer in wanderers) > 0

    await talk.speaker.ask("sessionEnded", action="endSession")
    await listening
    assert await steady.closed() == (1000, "the session has ended")
    got = [message["sequenceNumber"] for message in steady.all("translatedAudio")]
    assert got == list(range(1, len(got) + 1))
    assert len({message["segmentId"] for message in steady.all("translatedAudio")}) == len(got)
    for wanderer in wanderers:
        if wanderer.client is not None:
            await wanderer.client.closed()
            wanderer._check()
    await eventually(lambda: not list(stage.desk.rooms) and not stage.desk.hub._relays)
    assert stage.bus._channels == {}
    assert stage.desk.hub._absent == {}
