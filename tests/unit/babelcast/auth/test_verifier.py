"""Which tokens are good."""

import base64
import hashlib
import hmac
import logging
import time
import traceback
from collections.abc import AsyncIterator

import jwt
import msgspec
import pytest
from cryptography.hazmat.primitives import serialization
from hypothesis import given
from hypothesis import strategies as st

from babelcast.auth.config import Trust
from babelcast.auth.verifier import (
    NOT_BEFORE_LEEWAY_S,
    Claims,
    Speaker,
    TokenVerifier,
    admitted,
    open_verifier,
)
from babelcast.errors import BabelcastError, ServiceUnavailable, TokenExpired, Unauthorized
from tests.unit.babelcast.auth.issuer import AUDIENCE, ISSUER, Issuer


@pytest.fixture
async def verifier(issuer: Issuer) -> AsyncIterator[TokenVerifier]:
    """A verifier of the test issuer's tokens."""
    async with open_verifier(Trust(ISSUER, AUDIENCE, issuer.url, token_use_required=True)) as made:
        yield made


def forged(header: object, payload: object, signature: bytes = b"x") -> str:
    """A token with any header."""
    parts = (msgspec.json.encode(header), msgspec.json.encode(payload), signature)
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


def good_claims() -> dict[str, object]:
    """Claims that are good."""
    return {
        "iss": ISSUER,
        "sub": "s",
        "aud": AUDIENCE,
        "token_use": "access",
        "exp": int(time.time()) + 300,
    }


async def test_a_good_token(verifier: TokenVerifier, issuer: Issuer) -> None:
    """Subject and expiry come from the token."""
    expires = int(time.time()) + 60
    assert await verifier.verify(issuer.token(sub="anna", exp=expires)) == Speaker("anna", expires)


@pytest.mark.parametrize(
    ("claims", "groups"),
    [
        ({"cognito:groups": ["babelcast-operators", "x"]}, {"babelcast-operators", "x"}),
        ({"groups": ["a"], "scope": "openid babelcast-operators"}, {"a", "openid", "babelcast-operators"}),
        ({"groups": "a b", "scope": ["c"]}, {"a", "b", "c"}),
        ({"groups": {"a": 1}, "scope": 7, "cognito:groups": [1, None, "d"]}, {"d"}),
    ],
)
async def test_groups_and_scopes(
    verifier: TokenVerifier, issuer: Issuer, claims: dict[str, object], groups: set[str]
) -> None:
    """They are read from where issuers put them; what is none of that shape is nothing, and no reason to
    refuse a speaker.
    """
    assert (await verifier.verify(issuer.token_of(claims))).groups == groups


async def test_the_shapes_cognito_uses(verifier: TokenVerifier, issuer: Issuer) -> None:
    """Access tokens name a client id and no audience; id tokens an audience."""
    assert await verifier.verify(issuer.token(without=("aud",), client_id=AUDIENCE))
    assert await verifier.verify(issuer.token(token_use="id"))
    assert await verifier.verify(issuer.token(aud=["other", AUDIENCE]))


@pytest.mark.parametrize(
    ("reason", "without", "claims"),
    [
        ("issuer", (), {"iss": "https://evil.test"}),
        ("audience", (), {"aud": "other"}),
        ("audience", ("aud",), {}),
        ("audience", (), {"aud": [], "client_id": "other"}),
        ("audience", ("aud",), {"token_use": "id", "client_id": AUDIENCE}),
        ("token_use", (), {"token_use": "refresh"}),
        ("token_use", ("token_use",), {}),
        ("subject", (), {"sub": ""}),
        ("subject", (), {"sub": "x" * 129}),
        ("not_yet_valid", (), {"nbf": int(time.time()) + 3600}),
        ("claims", ("exp",), {}),
        ("claims", ("iss",), {}),
        ("claims", ("sub",), {}),
        ("claims", (), {"exp": "tomorrow"}),
        ("claims", (), {"token_use": ["access"]}),
    ],
)
async def test_claims_that_do_not_fit(
    verifier: TokenVerifier, issuer: Issuer, reason: str, without: tuple[str, ...], claims: dict[str, object]
) -> None:
    """Each claim is checked, and the refusal says which."""
    with pytest.raises(Unauthorized) as raised:
        await verifier.verify(issuer.token_of(claims, without=without))
    assert raised.value.details == {"reason": reason}


async def test_an_expired_token(verifier: TokenVerifier, issuer: Issuer) -> None:
    """An expired token has an error of its own; a forged expired one does not get that far."""
    with pytest.raises(TokenExpired):
        await verifier.verify(issuer.token(exp=int(time.time()) - 1))
    with pytest.raises(Unauthorized):
        await verifier.verify(issuer.token(exp=int(time.time()) - 1)[:-8] + "AAAAAAAA")


async def test_algorithm_confusion(verifier: TokenVerifier, issuer: Issuer) -> None:
    """`none`, an HMAC keyed with the public key, and other RSA algorithms are all refused."""
    claims = good_claims()
    public = issuer.keys["k1"].public_key()
    pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    header = {"alg": "HS256", "kid": "k1", "typ": "JWT"}
    unsigned = forged(header, claims).rsplit(".", 1)[0]
    mac = hmac.new(pem, unsigned.encode(), hashlib.sha256).digest()
    hs256 = f"{unsigned}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"
    tokens = [
        forged({"alg": "none", "kid": "k1"}, claims, b""),
        hs256,
        jwt.encode(claims, issuer.keys["k1"], algorithm="RS512", headers={"kid": "k1"}),
        jwt.encode(claims, issuer.keys["k1"], algorithm="PS256", headers={"kid": "k1"}),
        forged({"alg": "RS256 ", "kid": "k1"}, claims),
    ]
    for token in tokens:
        with pytest.raises(Unauthorized) as raised:
            await verifier.verify(token)
        assert raised.value.details == {"reason": "algorithm"}


async def test_keys_that_do_not_fit(verifier: TokenVerifier, issuer: Issuer) -> None:
    """No key id, an unknown one, and another key's signature under a known id are refused."""
    claims = good_claims()
    without_kid = jwt.encode(claims, issuer.keys["k1"], algorithm="RS256")
    unpublished = issuer.token("k2")
    misattributed = jwt.encode(claims, issuer.keys["k2"], algorithm="RS256", headers={"kid": "k1"})
    reasons = []
    for token in (without_kid, unpublished, misattributed):
        with pytest.raises(Unauthorized) as raised:
            await verifier.verify(token)
        reasons.append(raised.value.details["reason"])
    assert reasons == ["key", "key", "signature"]


async def test_critical_extensions_are_not_ignored(verifier: TokenVerifier, issuer: Issuer) -> None:
    """A header that demands an extension nobody here knows is refused (RFC 7515, section 4.1.11)."""
    with pytest.raises(Unauthorized):
        await verifier.verify(issuer.token(headers={"crit": ["exp-policy"], "exp-policy": "x"}))


async def test_a_changed_token(verifier: TokenVerifier, issuer: Issuer) -> None:
    """A payload that was not signed is refused."""
    head, _, signature = issuer.token().split(".")
    payload = base64.urlsafe_b64encode(msgspec.json.encode(good_claims() | {"sub": "eve"})).rstrip(b"=")
    with pytest.raises(Unauthorized) as raised:
        await verifier.verify(f"{head}.{payload.decode()}.{signature}")
    assert raised.value.details == {"reason": "signature"}


@given(st.one_of(st.text(max_size=200), st.from_regex(r"[A-Za-z0-9_-]{0,40}(\.[A-Za-z0-9_-]{0,40}){0,4}")))
def test_anything_else_is_no_token(text: str) -> None:
    """Whatever a client sends, the only answer is Unauthorized."""

    class NoKeys:
        async def key(self, kid: str) -> None:
            return None

    verifier = TokenVerifier(Trust(ISSUER, AUDIENCE, ""), NoKeys())  # type: ignore[arg-type]
    with pytest.raises(Unauthorized):
        verifier.verify(text).send(None)


async def test_too_long_a_token(verifier: TokenVerifier, issuer: Issuer) -> None:
    """Size is limited before anything is decoded."""
    with pytest.raises(Unauthorized):
        await verifier.verify(issuer.token(padding="x" * 9000))


async def test_the_issuer_is_down(verifier: TokenVerifier, issuer: Issuer) -> None:
    """Without keys a good token is neither good nor bad."""
    issuer.status = 500
    with pytest.raises(ServiceUnavailable):
        await verifier.verify(issuer.token())


async def test_tokens_never_show(
    verifier: TokenVerifier, issuer: Issuer, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither errors, nor what they chain, nor logs hold a piece of a token."""
    good = issuer.token()
    bad = [good[:-8] + "AAAAAAAA", f"{good}x.y", issuer.token(exp=1), issuer.token("k2"), "sekrit." + good]
    with caplog.at_level(logging.DEBUG):
        for token in bad:
            with pytest.raises(BabelcastError) as raised:
                await verifier.verify(token)
            shown = "".join(traceback.format_exception(raised.value, chain=True)) + repr(raised.value.details)
            pieces = [piece for piece in token.split(".") if len(piece) > 5]
            assert not [piece for piece in pieces if piece in shown or piece in caplog.text]


@given(
    nbf=st.floats(-1e9, 1e9),
    exp=st.floats(-1e9, 1e9),
)
def test_when_a_token_is_valid(nbf: float, exp: float) -> None:
    """A token is good from its start, with leeway for clocks, until its end, without."""
    claims = Claims(iss=ISSUER, sub="s", exp=exp, nbf=nbf, aud=AUDIENCE)
    trust = Trust(ISSUER, AUDIENCE, "")
    if nbf > NOT_BEFORE_LEEWAY_S:
        with pytest.raises(Unauthorized):
            admitted(claims, trust, now_s=0)
    elif exp <= 0:
        with pytest.raises(TokenExpired):
            admitted(claims, trust, now_s=0)
    else:
        assert admitted(claims, trust, now_s=0).subject == "s"


def test_other_issuers_need_not_name_a_use() -> None:
    """Only Cognito's tokens must say what they are for; a wrong word is refused everywhere."""
    trust = Trust(ISSUER, AUDIENCE, "")
    claims = Claims(iss=ISSUER, sub="s", exp=1, aud=AUDIENCE)
    assert admitted(claims, trust, now_s=0)
    claims.token_use = "refresh"
    with pytest.raises(Unauthorized):
        admitted(claims, trust, now_s=0)
