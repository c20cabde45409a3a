"""boto's chain of credentials, each link of it against a server in its place."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiohttp import web

from transcription_svc.engines.amazon.credentials import BotoKeys, Keys
from transcription_svc.engines.amazon.faults import NoCredentials

STS = """<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
<AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>{key}</AccessKeyId>
<SecretAccessKey>secret</SecretAccessKey><SessionToken>token</SessionToken>
<Expiration>{expires}</Expiration></Credentials></AssumeRoleWithWebIdentityResult>
</AssumeRoleWithWebIdentityResponse>"""


@dataclass
class Places:
    """Where credentials come from outside: a container's agent, an instance's metadata, STS."""

    url: str = ""
    lasts: timedelta = timedelta(hours=6)
    asked: list[str] = field(default_factory=list)

    def fields(self) -> dict[str, str]:
        """Credentials with a number, so that two can be told apart."""
        expires = (datetime.now(UTC) + self.lasts).strftime("%Y-%m-%dT%H:%M:%SZ")
        return {
            "AccessKeyId": f"KEY{len(self.asked)}",
            "SecretAccessKey": "secret",
            "Token": "token",
            "Expiration": expires,
        }

    async def container(self, request: web.Request) -> web.Response:
        """ECS and EKS pod identity."""
        self.asked.append(request.headers.get("Authorization", ""))
        return web.json_response(self.fields())

    async def session(self, request: web.Request) -> web.Response:
        """The token that an instance asks with."""
        return web.Response(text="imds-token")

    async def roles(self, request: web.Request) -> web.Response:
        """The instance's role."""
        return web.Response(text="speaker")

    async def instance(self, request: web.Request) -> web.Response:
        """The role's credentials."""
        self.asked.append(request.headers["X-aws-ec2-metadata-token"])
        return web.json_response({"Code": "Success", **self.fields()})

    async def sts(self, request: web.Request) -> web.Response:
        """AssumeRoleWithWebIdentity."""
        self.asked.append(str((await request.post())["WebIdentityToken"]))
        made = self.fields()
        text = STS.format(key=made["AccessKeyId"], expires=made["Expiration"])
        return web.Response(text=text, content_type="text/xml")


@pytest.fixture
async def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Places]:
    """All places on one server, and an environment that knows none of them."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    made = Places()
    app = web.Application()
    app.router.add_get("/container", made.container)
    app.router.add_put("/latest/api/token", made.session)
    app.router.add_get("/latest/meta-data/iam/security-credentials/", made.roles)
    app.router.add_get("/latest/meta-data/iam/security-credentials/speaker", made.instance)
    app.router.add_post("/", made.sts)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield made
    await runner.cleanup()


async def test_environment(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys from the environment, with or without a token; they do not show when printed."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKID")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hidden")
    keys = await BotoKeys().keys()
    assert keys == Keys("AKID", "hidden")
    assert "hidden" not in repr(keys)
    monkeypatch.setenv("AWS_SESSION_TOKEN", "token")
    assert await BotoKeys().keys() == Keys("AKID", "hidden", "token")


async def test_profile(places: Places, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys and region of the profile that is named."""
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    monkeypatch.setenv("AWS_PROFILE", "stage")
    (tmp_path / "credentials").write_text("[stage]\naws_access_key_id = FILED\naws_secret_access_key = s\n")
    (tmp_path / "config").write_text("[profile stage]\nregion = us-west-2\n")
    found = BotoKeys()
    assert await found.keys() == Keys("FILED", "s")
    assert found.region == "us-west-2"


async def test_web_identity(places: Places, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A service account of Kubernetes trades its token for a role (IRSA)."""
    (tmp_path / "token").write_text("from-kubernetes")
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path / "token"))
    monkeypatch.setenv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/babelcast")
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", places.url)
    assert await BotoKeys().keys() == Keys("KEY1", "secret", "token")
    assert places.asked == ["from-kubernetes"]


async def test_container(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    """A task of ECS, or a pod of EKS, asks its agent."""
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{places.url}/container")
    monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "let-me-in")
    found = BotoKeys()
    assert await found.keys() == await found.keys() == Keys("KEY1", "secret", "token")
    assert places.asked == ["let-me-in"]


async def test_instance(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    """An instance asks its metadata, with a session token (IMDSv2)."""
    monkeypatch.delenv("AWS_EC2_METADATA_DISABLED")
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", places.url)
    assert await BotoKeys().keys() == Keys("KEY1", "secret", "token")
    assert places.asked == ["imds-token"]


async def test_what_expires_is_renewed(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials that run out soon are replaced before they are used again."""
    places.lasts = timedelta(minutes=9)
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{places.url}/container")
    found = BotoKeys()
    first = await found.keys()
    places.lasts = timedelta(hours=6)
    second = await found.keys()
    assert first.access_key_id != second.access_key_id
    assert await found.keys() == second


async def test_nothing_anywhere(places: Places) -> None:
    """Without any link there is an error with a name."""
    with pytest.raises(NoCredentials):
        await BotoKeys().keys()
