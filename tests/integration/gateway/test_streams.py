"""Streams that break: nothing is lost, nothing comes twice, numbers run without gaps."""

import array
import asyncio
import math

import pytest

from babelcast.errors import BabelcastError, InvalidConfiguration, UnsupportedLanguage
from babelcast.rpc.server import GrpcServer
from babelcast.session.v1.session_pb2 import SessionSettings
from babelcast.transcription.v1 import transcription_pb2 as stt
from babelcast.transcription.v1 import transcription_pb2_grpc as stt_rpc
from babelcast.translation.v1 import translation_pb2 as mt
from babelcast.translation.v1 import translation_pb2_grpc as mt_rpc
from gateway import transcribing
from tests.integration.gateway.client import CHUNK, Client, Message
from tests.integration.gateway.stage import Stage, Talk, eventually


def chunk(number: int) -> bytes:
    """100 ms of a tone that can be told from others."""
    wave = [round((500 + number) * math.sin(step / 4)) for step in range(1600)]
    return array.array("h", wave).tobytes()


async def speak(talk: Talk, *numbers: int) -> None:
    """Send numbered chunks and wait until they were heard."""
    size = len(talk.hearing.audio)
    for number in numbers:
        await talk.speaker.socket.send(chunk(number))
    await talk.hearing.heard(size + len(numbers) * len(CHUNK))


def numbers(client: Client) -> list[int]:
    """The sequence numbers that a listener got."""
    return [message["sequenceNumber"] for message in client.all("translatedAudio")]


async def spoken(client: Client, segment: int) -> Message:
    """Wait for the voice of a segment."""
    return await client.until("translatedAudio", where=lambda m: m["segmentId"] == str(segment))


async def test_transcription_cut_in_mid_sentence(stage: Stage) -> None:
    """The audio since the last final result goes to a new stream, and segments are numbered on."""
    talk = await stage.talk()
    listener = await stage.listener(talk)
    await speak(talk, 1, 2, 3)
    talk.hearing.final(0, "One.", end_ms=200)
    await spoken(listener, 0)
    await speak(talk, 4)
    talk.hearing.partial(1, "Two and", stable="Two")
    await talk.speaker.until("transcript", where=lambda m: not m["isFinal"])
    talk.hearing.cut()
    again = await stage.transcription.opened()
    assert (again.config.first_segment, again.config.start_offset_ms) == (1, 192)  # the frame of 200
    rest = chunk(2)[92 * 32 :] + chunk(3) + chunk(4)
    assert await again.heard(len(rest)) == rest
    await talk.speaker.socket.send(chunk(5))
    assert await again.heard(len(rest) + len(CHUNK)) == rest + chunk(5)

    again.final(0, "One again.", end_ms=200)  # as if the service numbered from the start
    again.partial(1, "To and", stable="To", revision=0)
    again.partial(1, "Two and then", stable="Two and", revision=1)
    again.final(1, "Two and three.", end_ms=500)
    await spoken(listener, 1)
    await talk.speaker.fence()
    assert numbers(listener) == [1, 2]
    transcripts = [(m["segmentId"], m["revision"], m["text"]) for m in talk.speaker.all("transcript")]
    assert transcripts == [
        ("0", 0, "One."),
        ("1", 0, "Two and"),
        ("1", 1, "Two and then"),
        ("1", 2, "Two and three."),
    ]
    for client in (talk.speaker, listener):
        for kind in ("serviceDegraded", "systemRecovered"):
            assert [m["component"] for m in client.all(kind)] == ["transcription"]


@pytest.mark.parametrize("how", ["cut", "end"])
async def test_a_stream_that_stops_before_the_talk_is_opened_again(stage: Stage, how: str) -> None:
    """Whether it breaks off or says `ended` too early; however often."""
    talk = await stage.talk()
    for count in range(4):
        await talk.speaker.socket.send(chunk(count))
        await talk.hearing.heard((count + 1) * len(CHUNK))
        getattr(talk.hearing, how)()
        talk.hearing = await stage.transcription.opened()
        heard = await talk.hearing.heard((count + 1) * len(CHUNK))
        assert heard == b"".join(chunk(number) for number in range(count + 1))


async def test_audio_is_kept_while_no_stream_can_be_opened(stage: Stage) -> None:
    """What was said during the outage is heard after it, in order."""
    talk = await stage.talk()
    await speak(talk, 1)
    await stage.transcription_server.stop(grace_s=0)
    await talk.speaker.until("serviceDegraded")
    for number in range(2, 6):
        await talk.speaker.socket.send(chunk(number))
    await talk.speaker.fence()
    server = GrpcServer(f"127.0.0.1:{stage.transcription_server.port}", services=[])
    stt_rpc.add_TranscriptionServiceServicer_to_server(stage.transcription, server.server)
    async with server:
        again = await stage.transcription.opened()
        expected = b"".join(chunk(number) for number in range(1, 6))
        assert await again.heard(len(expected)) == expected
        await talk.speaker.until("systemRecovered")
        await talk.speaker.ask("sessionEnded", action="endSession")


async def test_what_a_new_stream_does_not_find_has_cleared(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A warning outlives its stream, and is taken back when the next one hears nothing wrong for a while."""
    talk = await stage.talk()
    talk.hearing.quality(stt.QUALITY_ISSUE_SNR_LOW, active=True)
    await talk.speaker.until("audio_quality_warning")
    talk.hearing.cut()
    talk.hearing = await stage.transcription.opened()
    await speak(talk, 1)
    await talk.speaker.fence()
    assert talk.speaker.all("audio_quality_ok") == []
    monkeypatch.setattr("gateway.sound_warnings.CONFIRM_MS", -1)  # the while is over
    await speak(talk, 2)
    assert (await talk.speaker.until("audio_quality_ok"))["issue"] == "snr_low"


def degraded(talk: Talk) -> list[str]:
    """What the speaker was told of transcription: what is wrong, or "" when it works again."""
    kinds = {"serviceDegraded", "systemRecovered"}
    told = [message for message in talk.speaker.seen if message["type"] in kinds]
    return [m["message"] if m["type"] == "serviceDegraded" else "" for m in told]


async def test_the_speaker_learns_why_transcription_is_refused(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once, however often it is tried; it is back when it answers, and the audio is heard then."""
    monkeypatch.setattr("gateway.transcribing.REFUSED_S", 0.01)
    talk = await stage.talk()
    await speak(talk, 1)
    for _ in range(3):
        talk.hearing.quality(stt.QUALITY_ISSUE_SNR_LOW, active=True)
        talk.hearing.refuse(InvalidConfiguration("The credentials are not valid."))
        talk.hearing = await stage.transcription.opened()
        assert await talk.hearing.heard(len(CHUNK)) == chunk(1)
    await talk.speaker.fence()
    interrupted, why = degraded(talk)
    assert "interrupted" in interrupted
    assert "The credentials are not valid." in why
    back = await stage.client()
    await back.ask(
        "stateRestored",
        action="refreshConnection",
        sessionId=talk.session_id,
        resumeToken=talk.created["resumeToken"],
    )
    talk.speaker = back
    assert (await back.until("serviceDegraded"))["message"] == why
    talk.hearing.final(0, "One.", end_ms=100)
    await talk.speaker.until("transcript")
    assert degraded(talk)[1:] == [""]
    talk.hearing.refuse(InvalidConfiguration("The credentials are not valid."))
    await stage.transcription.opened()
    await talk.speaker.fence()
    assert degraded(talk)[2:] == [interrupted, why]


async def test_who_sends_learns_why_a_stream_was_ended(stage: Stage) -> None:
    """Also when nobody has read that yet."""
    stream = await stage.desk.stations.transcribe(transcribing.stream_config(SessionSettings()))
    async with stream:
        (await stage.transcription.opened()).refuse(InvalidConfiguration("The credentials are not valid."))
        await eventually(stream._call.done)
        with pytest.raises(BabelcastError, match="credentials"):
            await stream.send(stt.StreamingTranscribeRequest(end=stt.EndOfAudio()))


async def test_a_refused_stream_is_seldom_asked_for_again(stage: Stage) -> None:
    """Not as soon as one that broke; and the end of the talk does not wait for it."""
    talk = await stage.talk()
    await speak(talk, 1)
    stage.transcription.refusals = [UnsupportedLanguage("en", available=["de"])] * 2
    talk.hearing.cut()
    await talk.speaker.until("serviceDegraded", where=lambda m: "not available" in m["message"])
    async with asyncio.timeout(transcribing.REFUSED_S / 2):
        await talk.speaker.ask("sessionEnded", action="endSession")
    assert stage.transcription.refusals == []
    assert len(stage.transcription.streams) == 1


async def test_the_end_comes_after_a_cut(stage: Stage) -> None:
    """A stream that breaks after the end was sent is opened once more for what it had not answered."""
    talk = await stage.talk()
    listener = await stage.listener(talk)
    talk.hearing._answer_end = False
    await speak(talk, 1)
    await talk.speaker.send(action="endSession")
    await talk.hearing.end_came.wait()
    talk.hearing.cut()
    again = await stage.transcription.opened()
    again.final(0, "After all.", end_ms=100)
    await again.end_came.wait()
    await talk.speaker.until("sessionEnded")
    await listener.closed()
    assert [m["transcript"] for m in listener.all("translatedAudio")] == ["[es] After all."]


async def test_translation_cut_between_caption_and_voice(stage: Stage) -> None:
    """The sentence is sent again: its caption is not repeated, its voice comes once."""
    talk = await stage.talk()
    listener = await stage.listener(talk)
    stage.translation.script.cut_before_speech_of = {1, 3}
    for segment in range(5):
        talk.hearing.final(segment, f"Sentence {segment}.", end_ms=100 * segment)
    await spoken(listener, 4)
    assert numbers(listener) == [1, 2, 3, 4, 5]
    assert [m["segmentId"] for m in listener.all("translatedAudio")] == ["0", "1", "2", "3", "4"]
    assert [m["segmentId"] for m in listener.all("caption")] == ["0", "1", "2", "3", "4"]
    assert len(stage.translation.configs) == 3


async def test_cuts_in_one_language_do_not_double_another(stage: Stage) -> None:
    """Only the languages that still wait are asked for again."""
    talk = await stage.talk()
    spanish, french = await stage.listener(talk, "es"), await stage.listener(talk, "fr")
    stage.translation.script.hanging = {"fr"}
    talk.hearing.final(0, "Zero.")
    await spoken(spanish, 0)
    stage.translation.script.hanging = set()
    stage.translation.cut()
    await spoken(french, 0)
    talk.hearing.final(1, "One.")
    await spoken(spanish, 1)
    await spoken(french, 1)
    assert numbers(spanish) == numbers(french) == [1, 2]
    assert stage.translation.asked("es") == [0, 1]
    assert stage.translation.asked("fr") == [0, 0, 1]


async def test_both_streams_cut_again_and_again(stage: Stage) -> None:
    """Twenty sentences through streams that break between all of them arrive once each, in order."""
    talk = await stage.talk()
    clients = [await stage.listener(talk, language) for language in ("es", "fr", "es")]
    stage.translation.script.cut_before_speech_of = set(range(0, 20, 3))
    for segment in range(20):
        await talk.speaker.socket.send(chunk(segment))
        await eventually(lambda: chunk(segment) in talk.hearing.pieces)  # noqa: B023 - awaited in its turn
        stage.clock.now_s += 1
        talk.hearing.final(segment, f"Sentence {segment}.", end_ms=100 * (segment + 1))
        if segment % 4 == 1:
            talk.hearing.cut()
            talk.hearing = await stage.transcription.opened()
            assert talk.hearing.config.first_segment == segment + 1
    for client in clients:
        await spoken(client, 19)
        assert numbers(client) == list(range(1, 21))
        assert [m["segmentId"] for m in client.all("translatedAudio")] == [str(n) for n in range(20)]
        captions = [m["segmentId"] for m in client.all("caption")]
        assert captions == [str(n) for n in range(20)]


async def test_each_sentence_is_translated_once_a_language(stage: Stage) -> None:
    """However many listeners; and not at all for languages that nobody listens in."""
    talk = await stage.talk()
    clients = [await stage.listener(talk, language) for language in ("es", "es", "es", "fr", "en")]
    talk.hearing.final(0, "For all.")
    for client in clients[:4]:
        await spoken(client, 0)
    await clients[3].close()
    room = stage.room(talk)
    await eventually(lambda: "fr" not in room.session.audience.languages)
    talk.hearing.final(1, "For Spain.")
    await spoken(clients[0], 1)
    assert stage.translation.asked("es") == [0, 1]
    assert stage.translation.asked("fr") == [0]
    assert stage.translation.asked("pt") == stage.translation.asked("en") == []
    assert stage.translation.open_streams == 1


@pytest.mark.parametrize("component", [mt.COMPONENT_TRANSLATION, mt.COMPONENT_SPEECH])
async def test_a_failing_language_hurts_nobody_else(
    stage: Stage, component: "mt.Component.ValueType"
) -> None:
    """Its listeners are told once and get what still works; all others go on; then it recovers."""
    talk = await stage.talk()
    spanish, french = await stage.listener(talk, "es"), await stage.listener(talk, "fr")
    stage.translation.script.failing = {"fr": component}
    for segment in range(3):
        talk.hearing.final(segment, f"Sentence {segment}.")
    await spoken(spanish, 2)
    caption = await french.until("caption", where=lambda m: m["segmentId"] == "2")
    lost = component == mt.COMPONENT_TRANSLATION
    assert caption["text"] == ("Sentence 2." if lost else "[fr] Sentence 2.")
    stage.translation.script.failing = {}
    talk.hearing.final(3, "Back.")
    voice = await spoken(french, 3)
    assert voice["sequenceNumber"] == 1
    talk.hearing.final(4, "For good.")
    await spoken(french, 4)
    await spoken(spanish, 4)
    await talk.speaker.fence()
    name = "translation" if lost else "speech"
    for client in (french, talk.speaker):
        assert [(m["component"], m["targetLanguage"]) for m in client.all("serviceDegraded")] == [
            (name, "fr")
        ]
        assert [(m["component"], m["targetLanguage"]) for m in client.all("systemRecovered")] == [
            (name, "fr")
        ]
    assert spanish.all("serviceDegraded") == []
    assert numbers(spanish) == [1, 2, 3, 4, 5]


async def test_a_failure_of_what_was_corrected_since(stage: Stage) -> None:
    """The correction is still shown and spoken, though the words before it could not be translated."""
    talk = await stage.talk()
    listener = await stage.listener(talk)
    stage.translation.script.hanging = {"es"}
    talk.hearing.final(0, "God morning.")
    await eventually(lambda: stage.translation.asked("es") == [0])
    await talk.speaker.ask("transcript", action="editTranscript", segmentId="0", text="Good morning.")
    await eventually(lambda: stage.translation.asked("es") == [0, 0])
    before, after = stage.translation.segments
    failure = mt.Failure(
        segment=0,
        revision=before.revision,
        language="es",
        component=mt.COMPONENT_TRANSLATION,
        is_final=True,
    )
    stage.translation.say(mt.StreamingTranslateResponse(failure=failure))
    translation = mt.Translation(
        segment=0, revision=after.revision, language="es", text="Buenos días.", is_final=True
    )
    stage.translation.say(mt.StreamingTranslateResponse(translation=translation))
    caption = await listener.until("caption")
    assert (caption["text"], caption["sourceText"]) == ("Buenos días.", "Good morning.")
    speech = mt.Speech(segment=0, language="es", pcm=CHUNK, sample_rate_hz=16_000, duration_ms=100)
    stage.translation.say(mt.StreamingTranslateResponse(speech=speech))
    assert (await listener.until("translatedAudio"))["transcript"] == "Buenos días."
    assert len(listener.all("caption")) == 1


async def test_a_hanging_language_does_not_hold_others_up(stage: Stage) -> None:
    """While one language gets no answers, the others are served sentence after sentence."""
    talk = await stage.talk()
    spanish, french = await stage.listener(talk, "es"), await stage.listener(talk, "fr")
    stage.translation.script.hanging = {"fr"}
    for segment in range(10):
        talk.hearing.final(segment, f"Sentence {segment}.")
    await spoken(spanish, 9)
    await french.fence()
    assert french.all("caption") == []


async def test_a_long_outage_of_translation_does_not_silence_the_transcript(stage: Stage) -> None:
    """More sentences than the queue holds go on to the speaker, and to the listeners when it is over."""
    talk = await stage.talk()
    listener, english = await stage.listener(talk, "es"), await stage.listener(talk, "en")
    port = stage.translation_server.port
    await stage.translation_server.stop(grace_s=0)
    for segment in range(150):
        talk.hearing.final(segment, f"Sentence {segment}.")
    await talk.speaker.until("transcript", where=lambda m: m["segmentId"] == "149")
    await english.until("transcript", where=lambda m: m["segmentId"] == "149")
    server = GrpcServer(f"127.0.0.1:{port}", services=[])
    mt_rpc.add_TranslationServiceServicer_to_server(stage.translation, server.server)
    async with server:
        await spoken(listener, 149)
        assert numbers(listener) == list(range(1, 151))
        await talk.speaker.ask("sessionEnded", action="endSession")


async def test_a_stalled_speaker_ends_the_sentence(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """When nothing more comes in mid-sentence, silence is put in once, so that the sentence ends."""
    monkeypatch.setattr("gateway.transcribing.STALL_S", 0.05)
    talk = await stage.talk()
    await talk.speaker.socket.send(CHUNK)
    heard = await talk.hearing.heard(len(CHUNK) + 32_000)
    assert heard == CHUNK + bytes(32_000)
    talk.hearing.final(0, "That was it.", end_ms=100)
    await talk.speaker.until("transcript")
    await talk.speaker.socket.send(CHUNK)
    heard = await talk.hearing.heard(2 * len(CHUNK) + 64_000)
    assert heard == 2 * (CHUNK + bytes(32_000))


async def test_nothing_is_put_in_before_anything_was_said(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Silence ends what was begun; a speaker who has not begun is left in peace."""
    monkeypatch.setattr("gateway.transcribing.STALL_S", 0.01)
    talk = await stage.talk()
    talk.hearing.cut()
    again = await stage.transcription.opened()
    for _ in range(20):
        await talk.speaker.fence()
        stage.clock.now_s += 6
    assert talk.hearing.audio == again.audio == b""


async def test_large_chunks_of_low_rates_are_split(stage: Stage) -> None:
    """A second of 8 kHz fits the limit on the way in and must not break it inside."""
    talk = await stage.talk()
    for _ in range(3):
        await talk.speaker.audio(bytes(32 * 1024), sampleRate=8_000)
    heard = await talk.hearing.heard(3 * 60 * 1024)
    assert max(map(len, talk.hearing.pieces)) <= 32 * 1024
    assert b"" not in talk.hearing.pieces
    assert len(heard) <= 3 * 64 * 1024


async def test_mute_volume_and_pause_change_what_is_heard(stage: Stage) -> None:
    """Muted is silence, volume scales, paused is nothing at all."""
    talk = await stage.talk()
    loud = (1000).to_bytes(2, "little") * 1600

    async def say(**control: object) -> None:
        await talk.speaker.ask("speakerStateChanged", action="speakerStateChange", state=control)
        await talk.speaker.socket.send(loud)

    await say(volume=0.5)
    await say(isMuted=True)
    await say(isMuted=False, isPaused=True)
    await say(isPaused=False, volume=1.0)
    expected = (500).to_bytes(2, "little") * 1600 + bytes(3200) + loud
    assert await talk.hearing.heard(len(expected)) == expected


async def test_a_pipeline_that_fails_is_made_anew(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault of ours closes the speaker's connection with 1011; with the resume token the talk goes on, with
    the next segment.
    """
    talk = await stage.talk()
    listener = await stage.listener(talk)
    talk.hearing.final(0, "Before.")
    await spoken(listener, 0)
    with monkeypatch.context() as patched:
        patched.setattr("gateway.sentences.OpenSegment.show", lambda *_: 1 / 0)
        talk.hearing.final(1, "Boom.")
        assert (await talk.speaker.closed())[0] == 1011
    client = await stage.client()
    await client.ask(
        "stateRestored",
        action="refreshConnection",
        sessionId=talk.session_id,
        resumeToken=talk.created["resumeToken"],
    )
    await client.audio()
    hearing = await stage.transcription.opened()
    assert hearing.config.first_segment == 1
    hearing.final(1, "Again.")
    assert (await spoken(listener, 1))["sequenceNumber"] == 2
