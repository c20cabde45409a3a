"""A server that speaks Amazon Transcribe's streaming protocol: HTTP/2 over TLS, SigV4, event streams.

It checks the signature of every request and of every chunk, and does what a script says: an async function
that gets the `Call` of one stream. Scripts are played in turn, the last one for all further streams.
"""

import asyncio
import contextlib
import datetime
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from ipaddress import IPv4Address
from pathlib import Path
from typing import TypeAlias

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.amazon import eventstream, sigv4
from tests.amazon.sigv4 import Account

SAMPLE_RATE_HZ = 16_000
REGION = "eu-west-1"


class Gone(Exception):
    """The client has left; a script ends with it."""


class Call:
    """One stream, as a script sees it."""

    def __init__(self, peer: "_Peer", stream_id: int, headers: Mapping[str, str]) -> None:
        self.headers = headers
        self.pcm = bytearray()
        """Audio that came, all of it with good signatures."""
        self.chunks = 0
        self.ended = False
        """Whether the client said that no more audio comes."""
        self.left = False
        self.verifier: sigv4.ChunkVerifier | None = None
        self.buffer = bytearray()
        self._peer = peer
        self._stream_id = stream_id
        self._changed = asyncio.Event()

    @property
    def seconds(self) -> float:
        """Audio that came, s."""
        return len(self.pcm) / 2 / SAMPLE_RATE_HZ

    def asked(self, name: str) -> str:
        """A parameter of the request, e.g. language-code."""
        return self.headers.get(f"x-amzn-transcribe-{name}", "")

    def accept(self) -> None:
        """Answer 200."""
        self._peer.headers(
            self._stream_id,
            {
                ":status": "200",
                "content-type": "application/vnd.amazon.eventstream",
                "x-amzn-request-id": "11111111-2222-3333-4444-555555555555",
                "x-amzn-transcribe-session-id": "66666666-7777-8888-9999-000000000000",
                "x-amzn-transcribe-language-code": self.asked("language-code"),
                "x-amzn-transcribe-sample-rate": self.asked("sample-rate"),
                "x-amzn-transcribe-media-encoding": "pcm",
            },
        )

    def refuse(self, status: int, code: str, message: str = "No.") -> None:
        """Answer with an error before the stream has begun."""
        self._peer.headers(
            self._stream_id,
            {
                ":status": str(status),
                "content-type": "application/json",
                "x-amzn-errortype": f"{code}:http://internal.amazon.com/coral/com.amazonaws.transcribe/",
            },
        )
        self._peer.data(self._stream_id, json.dumps({"Message": message}).encode(), last=True)

    def results(self, *results: Mapping[str, object]) -> None:
        """Send a TranscriptEvent."""
        headers = {
            ":event-type": "TranscriptEvent",
            ":content-type": "application/json",
            ":message-type": "event",
        }
        body = {"Transcript": {"Results": list(results)}}
        self._peer.data(self._stream_id, eventstream.encode(headers, json.dumps(body).encode()))

    def exception(self, code: str, message: str = "No.") -> None:
        """Send an exception in the middle of the stream, which ends it."""
        headers = {
            ":exception-type": code,
            ":content-type": "application/json",
            ":message-type": "exception",
        }
        body = json.dumps({"Message": message}).encode()
        self._peer.data(self._stream_id, eventstream.encode(headers, body), last=True)

    def raw(self, data: bytes) -> None:
        """Send bytes that need not be a frame."""
        self._peer.data(self._stream_id, data)

    def finish(self) -> None:
        """End the answer."""
        self._peer.data(self._stream_id, b"", last=True)

    def disconnect(self) -> None:
        """Cut the TCP connection."""
        self._peer.abort()

    async def until_heard(self, seconds: float) -> None:
        """Wait for so much audio, or the client's end. Raises: Gone."""
        await self._until(lambda: self.seconds >= seconds or self.ended)

    async def until_ended(self) -> None:
        """Wait for the client's end. Raises: Gone."""
        await self._until(lambda: self.ended)

    async def until_left(self) -> None:
        """Wait until the client is gone."""
        with contextlib.suppress(Gone):
            await self._until(lambda: False)

    async def _until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            if self.left:
                raise Gone
            self._changed.clear()
            await self._changed.wait()

    def take(self, payload: bytes) -> None:
        """Take what a chunk holds. Raises: BadFrame."""
        inner = bytearray(payload)
        event = eventstream.take(inner)
        if event is None:
            self.ended = True
        elif self.ended or event.headers.get(":event-type") != "AudioEvent":
            raise eventstream.BadFrame("not an audio event")
        else:
            self.chunks += 1
            self.pcm += event.payload

    def changed(self) -> None:
        """Something came, or the client has left."""
        self._changed.set()
        self._peer.server.changed()


Script: TypeAlias = Callable[[Call], Awaitable[None]]


class TranscribeServer:
    """Listens on a port of its own; `calls` are all streams so far."""

    def __init__(self, accounts: Iterable[Account]) -> None:
        self.accounts = {account.access_key_id: account for account in accounts}
        self.scripts: Sequence[Script] = ()
        self.calls: list[Call] = []
        self.rejected: list[str] = []
        """Why signatures were found wrong."""
        self.failures: list[BaseException] = []
        """What went wrong in scripts."""
        self.url = ""
        self.connections = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self.peers: set[_Peer] = set()
        self._changed = asyncio.Event()

    @property
    def open_connections(self) -> int:
        """Connections that are open now."""
        return len(self.peers)

    async def until(self, condition: Callable[[], bool], *, patience_s: float = 10.0) -> None:
        """Wait for something that calls and connections do."""
        async with asyncio.timeout(patience_s):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    def changed(self) -> None:
        """Something came, or a client has come or left."""
        self._changed.set()

    def script(self) -> Script:
        """The one for the next call."""
        return self.scripts[min(len(self.calls), len(self.scripts)) - 1]

    def play(self, call: Call) -> None:
        """Play the next script to a call."""
        self.calls.append(call)
        self.changed()
        task = asyncio.create_task(self._play(self.script(), call))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _play(self, script: Script, call: Call) -> None:
        try:
            await script(call)
        except Gone:
            return
        except Exception as error:
            self.failures.append(error)
            call.disconnect()

    async def aclose(self) -> None:
        """Stop all scripts and cut all connections."""
        for peer in list(self.peers):
            peer.abort()
        await self.until(lambda: not self.peers)
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)


class _Peer(asyncio.Protocol):
    """One TCP connection."""

    def __init__(self, server: TranscribeServer) -> None:
        self.server = server
        self._http = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        self._calls: dict[int, Call] = {}
        self._waiting: dict[int, list[tuple[bytes, bool]]] = {}
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self.server.connections += 1
        self.server.peers.add(self)
        self._http.initiate_connection()
        self._flush()

    def connection_lost(self, exc: Exception | None) -> None:
        self.server.peers.discard(self)
        self.server.changed()
        for call in self._calls.values():
            call.left = True
            call.changed()

    def data_received(self, data: bytes) -> None:
        try:
            events = self._http.receive_data(data)
        except h2.exceptions.ProtocolError:
            self.abort()
            return
        for event in events:
            self._take(event)
        self._flush()

    def headers(self, stream_id: int, headers: Mapping[str, str]) -> None:
        """Send response headers."""
        with contextlib.suppress(h2.exceptions.ProtocolError):
            self._http.send_headers(stream_id, list(headers.items()))
            self._flush()

    def data(self, stream_id: int, data: bytes, *, last: bool = False) -> None:
        """Send response data; all of these are far below the window."""
        with contextlib.suppress(h2.exceptions.ProtocolError):
            self._http.send_data(stream_id, data, end_stream=last)
            self._flush()

    def abort(self) -> None:
        """Cut the connection."""
        if self._transport is not None:
            self._transport.abort()

    def _flush(self) -> None:
        data = self._http.data_to_send()
        if self._transport is not None and data:
            self._transport.write(data)

    def _take(self, event: h2.events.Event) -> None:
        if isinstance(event, h2.events.RequestReceived):
            self._begin(event)
        elif isinstance(event, h2.events.DataReceived):
            self._http.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            self._hear(event.stream_id, event.data)
        elif isinstance(event, h2.events.StreamEnded | h2.events.StreamReset):
            call = self._calls.get(event.stream_id)
            if call is not None:
                call.left = call.left or isinstance(event, h2.events.StreamReset) or not call.ended
                call.changed()

    def _begin(self, event: h2.events.RequestReceived) -> None:
        found = {_text(name): _text(value) for name, value in event.headers}
        headers = {name: value for name, value in found.items() if not name.startswith(":")}
        headers.setdefault("host", found.get(":authority", ""))
        call = Call(self, event.stream_id, headers)
        self._calls[event.stream_id] = call
        try:
            call.verifier = sigv4.check_request(
                found[":method"], found[":path"], headers, accounts=self.server.accounts, region=REGION
            )
        except sigv4.BadSignature as error:
            self.server.rejected.append(str(error))
            call.refuse(403, error.code, str(error))
            return
        self.server.play(call)

    def _hear(self, stream_id: int, data: bytes) -> None:
        call = self._calls[stream_id]
        if call.verifier is None:
            return
        call.buffer += data
        try:
            while (frame := eventstream.take(call.buffer)) is not None:
                call.verifier.check(frame)
                call.take(frame.payload)
        except (sigv4.BadSignature, eventstream.BadFrame) as error:
            self.server.rejected.append(str(error))
            call.verifier = None
            call.exception("BadRequestException", str(error))
            call.left = True
        call.changed()


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value


def make_certificate(folder: Path) -> Path:
    """A self-signed certificate for 127.0.0.1 and localhost, with its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName(
                [x509.DNSName("localhost"), x509.IPAddress(IPv4Address("127.0.0.1"))]
            ),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = folder / "localhost.pem"
    file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return file


@asynccontextmanager
async def serving(certificate: Path, *accounts: Account) -> AsyncIterator[TranscribeServer]:
    """A server on a free port, with a certificate of `make_certificate`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    context.set_alpn_protocols(["h2"])
    server = TranscribeServer(accounts or (Account(),))
    listening = await asyncio.get_running_loop().create_server(
        lambda: _Peer(server), "127.0.0.1", 0, ssl=context
    )
    server.url = f"https://localhost:{listening.sockets[0].getsockname()[1]}"
    try:
        yield server
    finally:
        listening.close()
        await server.aclose()
