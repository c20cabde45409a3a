"""Amazon Translate's adapter against a server that checks signatures, keeps its rules and misbehaves."""

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from babelcast.errors import ErrorCode
from tests.aws_local import REGION, Fault
from translation_svc.aws import AwsSettings
from translation_svc.failures import (
    EngineBusy,
    EngineFailure,
    EngineForbidden,
    EngineLacksLanguage,
    EngineMissing,
    EngineRefused,
    EngineTimedOut,
)
from translation_svc.translators.amazon import AmazonTranslator, pieces_of
from translation_svc.translators.base import Pair
from translation_svc.turns import Urgency

if TYPE_CHECKING:
    from tests.aws_local import AwsLocal

TRANSLATE = "translate:TranslateText"
PAIR = Pair("en", "es")


@pytest.fixture
async def amazon(aws: "AwsLocal") -> AsyncIterator[AmazonTranslator]:
    """The adapter, patient."""
    translator = AmazonTranslator(settings=AwsSettings(region=REGION, call_timeout_s=20))
    yield translator
    await translator.aclose()


@pytest.fixture
async def hasty(aws: "AwsLocal") -> AsyncIterator[AmazonTranslator]:
    """The adapter with a deadline of half a second."""
    translator = AmazonTranslator(settings=AwsSettings(region=REGION, call_timeout_s=0.5))
    yield translator
    await translator.aclose()


async def _say(translator: AmazonTranslator, text: str = "Hello.", pair: Pair = PAIR) -> str:
    return await translator.translate(text, pair, urgency=Urgency.FINAL)


async def test_a_sentence_is_translated(amazon: AmazonTranslator, aws: "AwsLocal") -> None:
    """The call is signed so that the service takes it, and the text comes back."""
    assert await _say(amazon, "Hello & <b> Xq1 ¿é?") == "es: Hello & <b> Xq1 ¿é?"
    assert not aws.rejected


async def test_a_wrong_secret_is_told_from_an_outage(
    amazon: AmazonTranslator, aws: "AwsLocal", monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server really checks: a signature by another secret is refused, once, without a retry."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another")
    with pytest.raises(EngineForbidden, match="InvalidSignatureException"):
        await _say(amazon)
    assert aws.rejected == ["InvalidSignatureException"]


async def test_languages_are_those_that_amazon_lists(amazon: AmazonTranslator, aws: "AwsLocal") -> None:
    """All pages are read, once; variants and `auto` are none; our other names of a language work too."""
    assert not amazon.pairs
    await amazon.warm_all()
    await amazon.warm(PAIR)
    languages = {pair.source for pair in amazon.pairs}
    assert languages == {
        "ca", "de", "en", "es", "fr", "it", "ja", "no", "pl", "pt", "ru", "tl", "nb", "nn", "fil",
    }  # fmt: skip
    assert Pair("nb", "no") not in amazon.pairs
    assert aws.count("translate:ListLanguages") == 2
    assert await _say(amazon, pair=Pair("nb", "fil")) == "tl: Hello."


@pytest.mark.parametrize("fault", [Fault.THROTTLED, Fault.SERVER_ERROR, Fault.UNAVAILABLE, Fault.DISCONNECT])
async def test_two_failures_that_may_pass_are_not_noticed(
    amazon: AmazonTranslator, aws: "AwsLocal", fault: Fault
) -> None:
    """Throttling, faults of the server and broken connections are tried again, up to three attempts."""
    aws.fail(TRANSLATE, fault, fault)
    assert await _say(amazon) == "es: Hello."
    assert aws.count(TRANSLATE) == 3


@pytest.mark.parametrize(
    ("fault", "failure"),
    [
        (Fault.THROTTLED, EngineBusy),
        (Fault.SERVER_ERROR, EngineMissing),
        (Fault.UNAVAILABLE, EngineBusy),
        (Fault.DISCONNECT, EngineMissing),
    ],
)
async def test_the_third_failure_is_told(
    amazon: AmazonTranslator, aws: "AwsLocal", fault: Fault, failure: type[EngineFailure]
) -> None:
    """After three attempts the sentence fails by name, and the next one works."""
    aws.fail(TRANSLATE, fault, fault, fault)
    with pytest.raises(failure) as raised:
        await _say(amazon)
    assert raised.value.code is ErrorCode.SERVICE_UNAVAILABLE
    assert aws.count(TRANSLATE) == 3
    assert await _say(amazon) == "es: Hello."


@pytest.mark.parametrize(
    ("fault", "failure", "says"),
    [
        (Fault.EXPIRED, EngineForbidden, "does not take the credentials"),
        (Fault.DENIED, EngineForbidden, "do not allow translate:TranslateText"),
        (Fault.MALFORMED, EngineRefused, "no text"),
        (Fault.WRONG_TYPE, EngineRefused, "no text"),
        (Fault.EMPTY, EngineRefused, "no text"),
    ],
)
async def test_what_waiting_does_not_mend_is_told_at_once(
    amazon: AmazonTranslator, aws: "AwsLocal", fault: Fault, failure: type[EngineFailure], says: str
) -> None:
    """Permanent errors are not tried again, and say what is wrong."""
    aws.fail(TRANSLATE, fault)
    with pytest.raises(failure, match=says):
        await _say(amazon)
    assert aws.count(TRANSLATE) == 1


async def test_a_pair_that_amazon_lacks_is_an_unsupported_language(amazon: AmazonTranslator) -> None:
    """The client of the session is told that the language is not there, not that something broke."""
    with pytest.raises(EngineLacksLanguage) as raised:
        await _say(amazon, pair=Pair("en", "xx"))
    assert raised.value.code is ErrorCode.UNSUPPORTED_LANGUAGE


@pytest.mark.parametrize("fault", [Fault.HANG, Fault.SLOW_BODY])
async def test_a_call_ends_at_its_deadline(hasty: AmazonTranslator, aws: "AwsLocal", fault: Fault) -> None:
    """Neither silence nor an answer without end holds a sentence; the next one works."""
    aws.fail(TRANSLATE, *[fault] * 3)
    with pytest.raises(EngineTimedOut):
        await _say(hasty)
    aws.faults.clear()
    assert await _say(hasty) == "es: Hello."


async def test_a_short_hang_is_tried_again(aws: "AwsLocal") -> None:
    """One attempt that is not answered leaves time for another within the deadline."""
    translator = AmazonTranslator(settings=AwsSettings(region=REGION, call_timeout_s=3))
    aws.fail(TRANSLATE, Fault.HANG)
    assert await _say(translator) == "es: Hello."
    await translator.aclose()


async def test_calls_wait_their_turn(aws: "AwsLocal") -> None:
    """No more calls are under way than allowed, half as many for partials, and a final overtakes partials."""
    translator = AmazonTranslator(settings=AwsSettings(region=REGION, call_timeout_s=20, max_concurrency=4))
    aws.gate.clear()
    async with asyncio.TaskGroup() as group:
        for number in range(8):
            group.create_task(translator.translate(f"p{number}", PAIR, urgency=Urgency.PARTIAL))
        await aws.until_under_way(2)
        final = group.create_task(translator.translate("final", PAIR, urgency=Urgency.FINAL))
        await aws.until_under_way(3)
        assert [asked["Text"] for _, asked in aws.asked if asked["Text"] == "final"]
        aws.gate.set()
    assert final.result() == "es: final"
    assert aws.most_under_way == 3
    assert aws.count(TRANSLATE) == 9
    await translator.aclose()


async def test_the_deployment_s_terminology_is_named(aws: "AwsLocal") -> None:
    """A custom terminology goes with every sentence."""
    aws.terminologies["house"] = {"Xbox": "XBOX"}
    translator = AmazonTranslator(settings=AwsSettings(region=REGION, call_timeout_s=20), terminology="house")
    assert await _say(translator, "Xbox.") == "es: XBOX."
    await translator.aclose()


async def test_a_terminology_that_is_not_there_does_not_stop_the_talk(
    aws: "AwsLocal", caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged once, and sentences go without."""
    translator = AmazonTranslator(settings=AwsSettings(region=REGION, call_timeout_s=20), terminology="gone")
    with caplog.at_level(logging.ERROR):
        assert [await _say(translator), await _say(translator)] == ["es: Hello."] * 2
    assert caplog.text.count("no such custom terminology") == 1
    assert aws.count(TRANSLATE) == 3
    await translator.aclose()


async def test_a_text_above_the_limit_goes_in_pieces(amazon: AmazonTranslator, aws: "AwsLocal") -> None:
    """Nothing is lost of a text that Amazon would refuse."""
    text = "ñandú " * 3_000
    translated = await _say(amazon, text.strip())
    assert translated.count("ñandú") == 3_000
    assert aws.count(TRANSLATE) == 3


@given(text=st.text(alphabet=st.sampled_from("aé語😀 "), max_size=200), limit=st.integers(4, 40))
def test_pieces_fit_and_lose_only_blanks(text: str, limit: int) -> None:
    """Every piece is within the limit, and together they are the text."""
    pieces = list(pieces_of(text, limit))
    assert all(0 < len(piece.encode()) <= limit for piece in pieces)
    assert "".join(pieces).replace(" ", "") == text.replace(" ", "")


async def test_no_credentials_are_told(amazon: AmazonTranslator, monkeypatch: pytest.MonkeyPatch) -> None:
    """With an empty chain the failure says so, and nothing is sent."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name)
    with pytest.raises(EngineForbidden, match="no credentials"):
        await _say(amazon)


async def test_no_region_is_told(aws: "AwsLocal", monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a region nothing can be asked."""
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    translator = AmazonTranslator(settings=AwsSettings())
    with pytest.raises(EngineMissing, match="region"):
        await _say(translator)
    await translator.aclose()


async def test_nobody_there_is_told(aws: "AwsLocal", monkeypatch: pytest.MonkeyPatch) -> None:
    """A service that cannot be reached is a missing engine."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_TRANSLATE", "http://127.0.0.1:1")
    translator = AmazonTranslator(settings=AwsSettings(region=REGION, call_timeout_s=5))
    with pytest.raises(EngineMissing, match="not answered"):
        await _say(translator)
    await translator.aclose()


async def test_who_goes_away_leaves_no_call(amazon: AmazonTranslator, aws: "AwsLocal") -> None:
    """A cancelled call gives its place back."""
    aws.gate.clear()
    call = asyncio.create_task(_say(amazon))
    await aws.until_under_way(1)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    aws.gate.set()
    assert await _say(amazon) == "es: Hello."


async def test_an_empty_list_of_languages_is_a_failure(amazon: AmazonTranslator, aws: "AwsLocal") -> None:
    """An answer without languages is not taken for a service without any."""
    aws.fail("translate:ListLanguages", Fault.EMPTY)
    with pytest.raises(EngineRefused, match="empty"):
        await amazon.warm_all()
    await amazon.warm_all()
    assert PAIR in amazon.pairs
