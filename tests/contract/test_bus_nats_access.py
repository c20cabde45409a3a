"""How a gateway is let in by NATS servers, and which it refuses itself."""

import base64
import datetime
import ipaddress
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nkeys
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from babelcast.bus.base import Topic
from babelcast.bus.config import BusConfig
from babelcast.bus.in_process import InProcessBus
from babelcast.bus.nats.bus import NatsBus
from babelcast.bus.opening import open_bus
from babelcast.config import ConfigError, load
from babelcast.errors import InvalidConfiguration, ServiceUnavailable
from tests.nats_server import NatsServer, require_nats

TOPIC = Topic("golden-eagle-427", "es")


@contextmanager
def server(store: Path, *options: str) -> Iterator[NatsServer]:
    """A server with options of its own."""
    require_nats()
    made = NatsServer(store / "store", *options)
    made.start()
    try:
        yield made
    finally:
        made.stop()


async def works(config: BusConfig, *, patience_s: float = 10.0) -> bool:
    """Whether one gets in and may do everything."""
    bus = await NatsBus.open(config, retention_s=60, clock=time.monotonic, patience_s=patience_s)
    try:
        return await bus.claim(TOPIC) == 0
    finally:
        await bus.aclose()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate of this machine that vouches for itself, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return folder / "cert.pem", folder / "key.pem"


class TestCredentials:
    """Users, passwords and tokens."""

    @pytest.mark.parametrize("place", ["settings", "address"])
    async def test_a_user_is_let_in(self, tmp_path: Path, place: str) -> None:
        """With user and password from the settings or the address."""
        with server(tmp_path, "--user", "gateway", "--pass", "secret") as made:
            config = (
                BusConfig(bus_url=made.url, nats_user="gateway", nats_password="secret")
                if place == "settings"
                else BusConfig(bus_url=made.url.replace("//", "//gateway:secret@"))
            )
            assert await works(config)

    @pytest.mark.parametrize("place", ["settings", "address"])
    async def test_a_token_is_let_in(self, tmp_path: Path, place: str) -> None:
        """With a token from the settings or the address."""
        with server(tmp_path, "--auth", "s3cret") as made:
            config = (
                BusConfig(bus_url=made.url, nats_token="s3cret")
                if place == "settings"
                else BusConfig(bus_url=made.url.replace("//", "//s3cret@"))
            )
            assert await works(config)

    async def test_nobody_else_is(self, tmp_path: Path) -> None:
        """A wrong password ends in ServiceUnavailable, which says why and not what it was."""
        with server(tmp_path, "--user", "gateway", "--pass", "secret") as made:
            config = BusConfig(bus_url=made.url, nats_user="gateway", nats_password="guess")
            with pytest.raises(ServiceUnavailable, match="Authorization Violation") as refusal:
                await works(config, patience_s=0.5)
            assert "guess" not in str(refusal.value)
            assert "guess" not in repr(config)


def signed(issuer: nkeys.KeyPair, subject: nkeys.KeyPair, claims: dict[str, object]) -> str:
    """A JWT as NATS wants it."""
    body = {
        "jti": "test",
        "iat": int(time.time()),
        "iss": issuer.public_key.decode(),
        "sub": subject.public_key.decode(),
        "name": "test",
        "nats": {"version": 2, **claims},
    }
    head = {"typ": "JWT", "alg": "ed25519-nkey"}
    text = ".".join(unpadded(json.dumps(part).encode()) for part in (head, body))
    return f"{text}.{unpadded(issuer.sign(text.encode()))}"


def unpadded(data: bytes) -> str:
    """Base64 for addresses, without what fills it up."""
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def key_pair(prefix: int) -> nkeys.KeyPair:
    """A new pair of an operator, account or user."""
    return nkeys.from_seed(bytearray(nkeys.encode_seed(os.urandom(32), prefix)))


class TestCredentialFiles:
    """Servers that trust an operator's signatures."""

    async def test_are_shown(self, tmp_path: Path) -> None:
        """A user with a file of JWT and seed is let in; nobody is without one."""
        operator, user = key_pair(nkeys.PREFIX_BYTE_OPERATOR), key_pair(nkeys.PREFIX_BYTE_USER)
        account, system = key_pair(nkeys.PREFIX_BYTE_ACCOUNT), key_pair(nkeys.PREFIX_BYTE_ACCOUNT)
        unlimited = dict.fromkeys(
            (
                "subs",
                "data",
                "payload",
                "imports",
                "exports",
                "conn",
                "leaf",
                "mem_storage",
                "disk_storage",
                "streams",
                "consumer",
            ),
            -1,
        )
        account_jwt = signed(operator, account, {"type": "account", "limits": unlimited})
        free = {"subs": -1, "data": -1, "payload": -1, "pub": {}, "sub": {}}
        user_jwt = signed(account, user, {"type": "user", **free})
        credentials = tmp_path / "gateway.creds"
        credentials.write_text(
            f"-----BEGIN NATS USER JWT-----\n{user_jwt}\n------END NATS USER JWT------\n\n"
            f"-----BEGIN USER NKEY SEED-----\n{user.seed.decode()}\n------END USER NKEY SEED------\n"
        )
        settings = tmp_path / "operator.conf"
        settings.write_text(
            f'max_payload: 8MB\njetstream: {{ store_dir: "{tmp_path / "files"}" }}\n'
            f"operator: {signed(operator, operator, {'type': 'operator'})}\n"
            f"system_account: {system.public_key.decode()}\nresolver: MEMORY\n"
            f"resolver_preload: {{\n{account.public_key.decode()}: {account_jwt}\n"
            f"{system.public_key.decode()}: {signed(operator, system, {'type': 'account'})}\n}}\n"
        )
        with server(tmp_path, "--config", str(settings)) as made:
            assert await works(BusConfig(bus_url=made.url, nats_creds=str(credentials)))
            with pytest.raises(ServiceUnavailable):
                await works(BusConfig(bus_url=made.url), patience_s=0.5)


class TestTls:
    """Encryption."""

    @pytest.fixture
    def tls_server(self, tmp_path: Path, certificate: tuple[Path, Path]) -> Iterator[NatsServer]:
        """A server that speaks TLS alone."""
        cert, key = certificate
        with server(tmp_path, "--tls", "--tlscert", str(cert), "--tlskey", str(key)) as made:
            yield made

    async def test_a_known_server_is_used(
        self, tls_server: NatsServer, certificate: tuple[Path, Path]
    ) -> None:
        """One whose certificate is of the given authority."""
        url = tls_server.url.replace("nats:", "tls:")
        assert await works(BusConfig(bus_url=url, nats_tls_ca=str(certificate[0])))

    async def test_an_unknown_server_is_not(self, tls_server: NatsServer) -> None:
        """One whose certificate nobody vouches for."""
        with pytest.raises(ServiceUnavailable):
            await works(BusConfig(bus_url=tls_server.url.replace("nats:", "tls:")), patience_s=0.5)

    async def test_a_client_shows_its_own(self, tmp_path: Path, certificate: tuple[Path, Path]) -> None:
        """A server that wants to know its clients gets their certificate."""
        cert, key = (str(path) for path in certificate)
        options = ("--tlsverify", "--tlscert", cert, "--tlskey", key, "--tlscacert", cert)
        with server(tmp_path, *options) as made:
            assert await works(
                BusConfig(bus_url=made.url, nats_tls_ca=cert, nats_tls_cert=cert, nats_tls_key=key)
            )

    async def test_is_not_given_up(self, nats_server: NatsServer) -> None:
        """A server without TLS gets no password when the address says tls."""
        url = nats_server.url.replace("nats://", "tls://gateway:secret@")
        with pytest.raises(ServiceUnavailable, match="no TLS"):
            await works(BusConfig(bus_url=url), patience_s=0.5)


class TestSettings:
    """What is noticed before anything runs."""

    @pytest.mark.parametrize(
        "wrong",
        [
            {"BUS_URL": "http://nats.example"},
            {"BUS_URL": "nats://nats.example", "NATS_CREDS": "/nowhere/a.creds"},
            {"BUS_URL": "nats://nats.example", "NATS_USER": "gateway"},
            {"BUS_URL": "nats://nats.example", "NATS_TLS_CA": "/nowhere/ca.pem"},
            {"BUS_URL": "nats://nats.example", "NATS_REPLICAS": "2"},
        ],
    )
    async def test_must_fit(self, wrong: dict[str, str]) -> None:
        """Each of these is a ConfigError."""
        with pytest.raises(ConfigError):
            await open_bus(load(BusConfig, wrong), retention_s=60, clock=time.monotonic)

    async def test_without_an_address_the_bus_is_in_process(self) -> None:
        """An empty BUS_URL needs no server."""
        bus = await open_bus(BusConfig(), retention_s=60, clock=time.monotonic)
        assert isinstance(bus, InProcessBus)

    async def test_several_addresses_are_tried(self, nats_server: NatsServer, fresh_stream: None) -> None:
        """One that answers is enough."""
        assert await works(BusConfig(bus_url=f"nats://127.0.0.1:1, {nats_server.url}"))

    async def test_a_server_for_small_messages_is_refused(
        self, nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """One that would not take a long sentence's voice is told so at the start."""
        monkeypatch.setattr("babelcast.bus.nats.link.MIN_MAX_PAYLOAD", 9 * 1024 * 1024)
        with pytest.raises(InvalidConfiguration, match="max_payload"):
            await works(BusConfig(bus_url=nats_server.url))
