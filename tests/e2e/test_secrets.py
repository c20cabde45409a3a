"""Tokens never reach a log or telemetry, nor do addresses, names or what is said.

Real processes tell all they can, while clients send secrets to every place that takes one, good and bad.
"""

import asyncio
import contextlib
import json
import os
import secrets
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path

import jwt
import pytest
from websockets.exceptions import InvalidStatus

from babelcast import wav
from babelcast.auth.config import OPERATOR_GROUP
from babelcast.auth.local_issuer import LocalIssuer
from babelcast.rpc.server import GrpcServer
from babelcast.transcription.v1 import transcription_pb2_grpc as stt_rpc
from babelcast.translation.v1 import translation_pb2_grpc as mt_rpc
from tests.e2e import faulty
from tests.e2e.leaks import Planted, collecting, records, verbose
from tests.e2e.served import serving
from tests.integration.gateway.client import Client, Message
from tests.integration.gateway.stations import ScriptedTranscription, ScriptedTranslation

SPEECH = Path(__file__).parents[1] / "data" / "jfk.wav"
CREATE: Message = {"action": "createSession", "sourceLanguage": "en"}
SAID = "The merger with Northwind will be announced on Friday."
STOP_S = 30.0
SECOND = 2 * 16_000

Talking = Callable[[Client, Client], Awaitable[None]]
"""Makes the speaker say something that the listener gets to read."""


class Play:
    """Clients of every kind, and all the secrets they have."""

    def __init__(self, port: int, issuer: LocalIssuer) -> None:
        self.planted = Planted()
        self.port = port
        self.url = f"ws://127.0.0.1:{port}"
        self._issuer = issuer
        subject = self.planted.word("speaker's name", "ana.planted@example.org")
        self.good = self.planted.web_token("good token", issuer.mint(subject))
        self.operator = self.planted.web_token("operator's token", issuer.mint("op", groups=[OPERATOR_GROUP]))
        self.faulty = self.planted.web_token("faulty speaker's token", issuer.mint(faulty.SUBJECT))
        forged = issuer.mint("mallory")[:-24] + secrets.token_urlsafe(18)
        self.bad = {
            "expired": self.planted.web_token("expired token", issuer.mint(subject, lifetime_s=-60)),
            "forged": self.planted.web_token("forged token", forged),
            "unsigned": self.planted.web_token("unsigned token", jwt.encode({"sub": subject}, "", "none")),
            "two parts": self.planted.web_token("half a token", issuer.mint("half").rpartition(".")[0]),
            "no token": self.planted.opaque("opaque token", secrets.token_urlsafe(48)),
        }
        self.clients: list[Client] = []

    async def open(
        self,
        path: str = "/",
        *,
        token: str = "",
        headers: Mapping[str, str] | None = None,
        local_addr: tuple[str, int] | None = None,
    ) -> Client:
        """A connection; what it is told may not be told to others."""
        client = await Client.open(f"{self.url}{path}", token=token, headers=headers, local_addr=local_addr)
        self.clients.append(client)
        return client

    async def refused_upgrades(self) -> None:
        """Bad tokens in header and URL, and requests that are not even HTTP."""
        for token in self.bad.values():
            for path, header in (("/", token), (f"/?token={token}", ""), (f"/prod?x=1&token={token}", "")):
                with pytest.raises(InvalidStatus):
                    await self.open(path, token=header)
        good = self.good
        for request in (
            f"GET /?token={good} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
            f"GET /nothing?token={good} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n\r\n",
            f"GET /ws?token={good} HTTP/9.9\r\n\r\n",
            f"GET /ws?token={good}\r\n\r\n",
            f"GET //[?token={good} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
            f"GET /ws HTTP/1.1\r\nAuthorization {good}\r\n\r\n",
            f"GET /ws HTTP/1.1\r\nUpgrade: websocket\r\nAuthorization: Basic {good}\r\n\r\n",
            f"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {good}\r\nCookie: token={good}\r\n\r\n",
            f"GET /ws?token={good}{'x' * 70_000} HTTP/1.1\r\n\r\n",
            f"{good}\r\n\r\n",
            f"POST /local/token HTTP/1.1\r\nHost: x\r\nOrigin: http://{good}\r\nConnection: close\r\n\r\n",
            f"GET /assets/{good} HTTP/1.1\r\nHost: {good}\r\nConnection: close\r\n\r\n",
        ):
            await self._raw(request.encode())
        await self._raw(f"GET /ws?token={good} HTTP/1.1\r\nHost".encode(), hang_up=True)

    async def refused_messages(self) -> None:
        """Bad tokens in messages, and good ones where none belongs."""
        client = await self.open()
        for token in self.bad.values():
            for fields in (
                CREATE,
                {"action": "refreshConnection", "sessionId": "golden-eagle-427", "resumeToken": "a.b"},
                {"action": "listSessions"},
            ):
                await client.refused(**fields, token=token)
        for frame in (
            json.dumps({"action": self.good}),
            json.dumps({"action": "createSession", "sourceLanguage": self.good}),
            json.dumps({"action": "createSession", "token": {"token": self.good}}),
            json.dumps({"action": "joinSession", "sessionId": self.good, "targetLanguage": "es"}),
            json.dumps({"action": "heartbeat", "requestId": self.good, "traceparent": self.good}),
            f'{{"action": "createSession", "token": "{self.good}',
            json.dumps([self.good] * 200),
            self.good.encode(),
        ):
            await client.socket.send(frame)
            await client.until("error")
        flood = await self.open()
        for _ in range(250):
            await flood.socket.send(f'{{"action": "{self.good}"}}')
        assert (await flood.closed())[0] == 4429

    async def sessions(self, talking: Talking) -> None:
        """A good token in its three places; talks with listeners, who come back; and an operator."""
        planted = self.planted
        by_url = await self.open(f"/?action=createSession&sourceLanguage=en&token={self.good}")
        await by_url.until("sessionCreated")
        await by_url.ask("sessionEnded", action="endSession")
        by_message = await self.open()
        await by_message.ask("sessionCreated", **CREATE, token=self.good)
        await by_message.ask("sessionEnded", action="endSession")

        speaker = await self.open(token=self.good)
        code = str((await speaker.ask("sessionCreated", **CREATE))["sessionId"])
        join: Message = {"action": "joinSession", "sessionId": code, "targetLanguage": "es"}
        peer = planted.word("a listener's address", "127.0.0.77")
        listener = await self.open(local_addr=(peer, 0))
        await listener.ask("sessionJoined", **join)
        for name, forwarded in (("forwarded", "203.0.113.77"), ("forwarded v6", "2001:db8:77::1")):
            address = planted.word(f"a listener's {name} address", forwarded)
            other = await self.open(headers={"X-Forwarded-For": f"198.51.100.9, {address}"})
            await other.ask("sessionJoined", **join)
        planted.word("what a client says its address is", "198.51.100.9")
        await talking(speaker, listener)

        wrong = planted.opaque(
            "wrong resume token", f"{secrets.token_urlsafe(12)}.{secrets.token_urlsafe(32)}"
        )
        stranger = await self.open()
        refresh: Message = {"action": "refreshConnection", "sessionId": code}
        await stranger.refused(**refresh, resumeToken=wrong)
        await stranger.refused(**refresh, resumeToken=self.good)
        await (await self.open()).ask("sessionJoined", **join, resumeToken=wrong)  # as somebody new
        for first, answer in ((listener, "connectionRefreshComplete"), (speaker, "stateRestored")):
            client = first
            tokens: list[str] = []
            for _ in range(2):  # one is good until the next one was used
                tokens.append(
                    next(message["resumeToken"] for message in client.seen if "resumeToken" in message)
                )
                client.drop()
                client = await self.open()
                await client.ask(answer, **refresh, resumeToken=tokens[-1], token=self.good)
            await stranger.refused(**refresh, resumeToken=tokens[0])

        by_header = await self.open(token=self.operator)
        assert (await by_header.ask("sessionList", action="listSessions"))["sessions"]
        by_message = await self.open()
        await by_message.ask("sessionShown", action="showSession", sessionId=code, token=self.operator)
        await by_message.refused(action="closeSession", sessionId=code, token=self.good)

    async def faults(self) -> None:
        """What goes wrong inside, with secrets in hand."""
        with pytest.raises(InvalidStatus):
            await self.open(token=self.faulty)
        with pytest.raises(InvalidStatus):
            await self.open(headers={"X-Forwarded-For": self.planted.word("odd address", faulty.ADDRESS)})
        client = await self.open()
        resume = self.planted.opaque(
            "unlucky resume token", f"{secrets.token_urlsafe(12)}.{secrets.token_urlsafe(32)}"
        )
        for fields in (
            {**CREATE, "token": self.faulty},
            {"action": "refreshConnection", "sessionId": faulty.IN_GATEWAY, "resumeToken": resume},
            {"action": "refreshConnection", "sessionId": faulty.IN_RECORD, "resumeToken": resume},
        ):
            assert (await client.refused(**fields))["code"] == "INTERNAL_ERROR"

    def remember(self) -> None:
        """Plant all that clients were told in confidence: resume tokens, and what was said."""
        told = [message for client in self.clients for message in client.seen]
        tokens = {message["resumeToken"] for message in told if "resumeToken" in message}
        assert len(tokens) >= 5
        for number, token in enumerate(sorted(tokens)):
            self.planted.opaque(f"resume token {number}", token)
        texts = {message.get(name) for message in told for name in ("text", "sourceText", "transcript")}
        said = {text for text in texts if text and len(text) > 8}
        assert said
        for text in said:
            self.planted.word(f"what was said: {text}", text)

    async def _raw(self, request: bytes, *, hang_up: bool = False) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        with contextlib.suppress(ConnectionError):
            writer.write(request)
            await writer.drain()
            if hang_up:
                writer.transport.abort()
            else:
                async with asyncio.timeout(10):
                    await reader.read()
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


@contextlib.asynccontextmanager
async def process(output: Path, *module: str, **environ: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A process that writes all it has to say to a file, and ends well on SIGTERM."""
    with output.open("wb") as file:
        started = await asyncio.create_subprocess_exec(
            sys.executable, *module, env={**os.environ, **environ}, stdout=file, stderr=file
        )
    try:
        yield started
        if started.returncode is None:
            started.send_signal(signal.SIGTERM)
        async with asyncio.timeout(STOP_S):
            assert await started.wait() == 0, output
    finally:
        if started.returncode is None:
            started.kill()
            await started.wait()


async def field_of(output: Path, message: str, name: str) -> object:
    """A field of the first record with that message, once it is written."""
    async with asyncio.timeout(STOP_S):
        while True:
            for record in records(output):
                if record["message"] == message:
                    return record[name]
            await asyncio.sleep(0.05)


async def test_services_apart_that_fail_in_the_worst_ways(tmp_path: Path) -> None:
    """Gateway and session service hide what exceptions, warnings and libraries would tell, and still log."""
    transcription, translation = ScriptedTranscription(), ScriptedTranslation()
    speech_station, text_station = (
        GrpcServer("127.0.0.1:0", services=[]),
        GrpcServer("127.0.0.1:0", services=[]),
    )
    stt_rpc.add_TranscriptionServiceServicer_to_server(transcription, speech_station.server)
    mt_rpc.add_TranslationServiceServicer_to_server(translation, text_station.server)
    record_output, gateway_output = tmp_path / "session_svc.out", tmp_path / "gateway.out"
    issuer = LocalIssuer.open(tmp_path)

    async def talking(speaker: Client, listener: Client) -> None:
        hearing = transcription.streams[-1]
        await speaker.audio()
        hearing.partial(0, SAID[:30], stable=SAID[:20])
        hearing.final(0, SAID)
        await listener.until("translatedAudio")
        hearing.cut()
        translation.cut()
        await transcription.opened()

    async with contextlib.AsyncExitStack() as stack:
        collector = await stack.enter_async_context(collecting())
        for station in (speech_station, text_station):
            await stack.enter_async_context(station)
        environ = verbose(collector) | {"DATA_DIR": str(tmp_path), "SESSION_BIND": "127.0.0.1:0", "PORT": "0"}
        record = await stack.enter_async_context(
            process(record_output, "-m", "tests.e2e.faulty", "session_svc", **environ)
        )
        targets = {
            "SESSION_TARGET": f"127.0.0.1:{await field_of(record_output, 'session service ready', 'port')}",
            "TRANSCRIPTION_TARGET": f"127.0.0.1:{speech_station.port}",
            "TRANSLATION_TARGET": f"127.0.0.1:{text_station.port}",
        }
        await stack.enter_async_context(
            process(gateway_output, "-m", "tests.e2e.faulty", "gateway", **environ, **targets)
        )
        port = await field_of(gateway_output, "gateway listens", "port")
        assert isinstance(port, int)
        play = Play(port, issuer)
        await play.refused_upgrades()
        await play.refused_messages()
        await play.sessions(talking)
        await play.faults()
        play.remember()
        record.send_signal(signal.SIGTERM)  # the gateway goes on without it, and says so
        await record.wait()
        await field_of(gateway_output, "watch of sessions broke", "code")

    for output in (record_output, gateway_output):
        assert play.planted.seen_in(output.read_text()) == set(), output.name
    assert play.planted.seen_in(collector.text) == set()

    assert "babelcast.session.rate_limits_skipped" in collector.text
    in_gateway, in_record = list(records(gateway_output)), list(records(record_output))
    messages = [str(entry["message"]) for entry in in_gateway]
    failed = [entry for entry in in_gateway if entry["message"] == "message failed"]
    assert [str(entry["exception"]).count("ValueError: failed with") for entry in failed] == [1, 1]
    assert all("[hidden]" in str(entry["exception"]) for entry in failed)
    assert {"transcription stream broke", "translation stream broke", "odd address"} <= set(messages)
    assert any("got a new connection from ('127.0.x.x'" in message for message in messages)
    assert "a record cannot be written" in messages
    assert "< GET" not in "".join(messages)
    for entries, times in ((in_gateway, 2), (in_record, 1)):
        strays = [entry for entry in entries if entry["message"] == "nobody caught an exception"]
        assert len(strays) == 2 * times  # a thread's and a finaliser's
        assert all("[hidden]" in str(entry["exception"]) for entry in strays)
        told = [str(entry["message"]) for entry in entries if entry["logger"] in {"asyncio", "py.warnings"}]
        assert sum("careless with [hidden]" in message for message in told) == 1  # a warning comes once
        assert sum("Exception in callback fail(" in message for message in told) == times
        assert sum("Task exception was never retrieved" in message for message in told) == times
    assert "handler failed" in {entry["message"] for entry in in_record}


@pytest.mark.engines
async def test_everything_in_one_process_has_nothing_to_hide(tmp_path: Path) -> None:
    """`babelcast serve` with its engines, at its most talkative, logs a talk and no secret of anybody's."""

    async def talking(speaker: Client, listener: Client) -> None:
        sound = wav.read(SPEECH).pcm[: 4 * SECOND] + bytes(2 * SECOND)  # a sentence and a pause
        for start in range(0, len(sound), SECOND // 10):
            await speaker.socket.send(sound[start : start + SECOND // 10])
            await asyncio.sleep(0.1)
        await listener.until("translatedAudio", patience_s=60)

    async with collecting() as collector:
        environ = verbose(collector)
        with serving(tmp_path / "data", **environ) as served:
            play = Play(served.port, LocalIssuer.open(served.data_dir))
            await play.refused_upgrades()
            await play.refused_messages()
            await play.sessions(talking)
            play.remember()
            assert await asyncio.to_thread(served.stop) == 0
            assert served.process.stdout is not None
            rest = served.process.stdout.read()
    output = tmp_path / "data.log"
    assert rest == ""
    text = output.read_text()
    assert play.planted.seen_in(text) == set()
    assert play.planted.seen_in(collector.text) == set()
    assert "[hidden]" not in text  # nothing tried
    messages = {str(entry["message"]) for entry in records(output)}
    assert {"gateway listens", "session service ready", "stream opened", "talk finished"} <= messages
    assert any("got a new connection from ('127.0.x.x'" in message for message in messages)


def test_what_looks_for_leaks_finds_them() -> None:
    """A part of a secret, whole words and hexadecimal dumps; and not the parts that everybody may see."""
    planted = Planted()
    token = planted.web_token("token", "eyJoZWFkZXI.cGF5bG9hZC1vZi1hbmE.c2lnbmF0dXJlLW9mLWFuYQ")
    planted.word("address", "203.0.113.77")
    assert planted.seen_in(f"from 203.0.113.77 with {token}") == {"token", "address"}
    assert planted.seen_in(f"GET /?token=…{token[-16:]}") == {"token"}
    assert planted.seen_in(token[12:40].encode().hex(" ").upper()) == {"token"}
    assert planted.seen_in(f"{token[:20]}… from 203.0.x.x") == set()
