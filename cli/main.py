"""The commands and their options. Typer turns each parameter into an option, so they are no burden."""
# ruff: noqa: PLR0917

import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from babelcast.auth.config import OPERATOR_GROUP
from babelcast.client import address
from cli import outcome, places
from cli.engines import Engines, chosen

if TYPE_CHECKING:
    from cli.models import Shelf

app = typer.Typer(
    name="babelcast",
    help="Live speech translation: one person speaks, everybody listens in their own language.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
bench_app = typer.Typer(help="Measure a running server, or one started for it.", no_args_is_help=True)
app.add_typer(bench_app, name="bench")
tables_app = typer.Typer(
    help="The DynamoDB tables: those of the session service, and of translations "
    "where TRANSLATION_CACHE_TABLE_NAME names one.",
    no_args_is_help=True,
)
app.add_typer(tables_app, name="tables")
sessions_app = typer.Typer(
    help="See and end the sessions of a running system, with an operator's token.", no_args_is_help=True
)
app.add_typer(sessions_app, name="sessions")

models_app = typer.Typer(
    help="The models that translate without any service elsewhere, and the routes that they make.",
    no_args_is_help=True,
)
app.add_typer(models_app, name="models")


class VoiceChoice(StrEnum):
    """What `audio` may be when joining."""

    PCM = "pcm"
    OPUS = "opus"
    NONE = "none"


class Delivery(StrEnum):
    """What `delivery` may be when joining."""

    JSON = "json"
    BINARY = "binary"


Url = Annotated[str, typer.Option(help="Address of the gateway.", envvar="BABELCAST_URL")]
Token = Annotated[
    str,
    typer.Option(
        help="Speaker's token; by default a short one from the local data directory.",
        envvar="BABELCAST_TOKEN",
    ),
]
OperatorToken = Annotated[
    str,
    typer.Option(
        help="Operator's token; by default a short one from the local data directory.",
        envvar="BABELCAST_TOKEN",
    ),
]
Group = Annotated[
    str, typer.Option(help="Group that operators' tokens name.", envvar="OPERATOR_GROUP", show_default=True)
]
Code = Annotated[str, typer.Argument(help="The session's code.")]
DataDir = Annotated[
    Path | None,
    typer.Option(
        help="The server's data directory. [dim]\\[default: ~/.local/share/babelcast][/]", envvar="DATA_DIR"
    ),
]
Language = Annotated[str, typer.Option("--from", help="Language spoken.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Tags = Annotated[
    list[str] | None,
    typer.Option("--tag", help="Tag that the tables have, KEY=VALUE; may be given again.", metavar="TAG"),
]


@app.command(epilog="Example: babelcast serve --port 9000 --data-dir /tmp/babelcast")
def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.", envvar="HOST")] = places.DEFAULT_HOST,
    port: Annotated[
        int, typer.Option(help="Port; 0 for any.", envvar="PORT", min=0, max=65535)
    ] = places.DEFAULT_PORT,
    data_dir: DataDir = None,
    engines: Annotated[
        Engines,
        typer.Option(
            help="Engines as configured, or scripted ones for load and fault tests, which know only the "
            "tones of [bold]speak --scripted[/]."
        ),
    ] = Engines.CONFIGURED,
    workers: Annotated[
        int,
        typer.Option(
            help="Processes of the gateway that share the port; more than one need BUS_URL.",
            envvar="GATEWAY_WORKERS",
            min=1,
        ),
    ] = 1,
    as_json: Json = False,
) -> None:
    """Serve everything from this process.

    With --json the only line on stdout is {"event":"ready","url":…,"token":…}, once it is really ready; the
    log goes to stderr. SIGTERM and Ctrl-C let the last sentences through and end with exit code 0.
    """
    from cli import serve as command
    from cli.compose import Place

    place = Place(host, port, places.data_dir_or_default(data_dir))
    environ = {**chosen(engines, os.environ), "GATEWAY_WORKERS": str(workers)}
    outcome.run(command.serve(place, environ, Console(quiet=as_json), as_json=as_json))


@app.command(epilog="Example: babelcast speak talk.wav --from en")
def speak(
    file: Annotated[
        Path | None, typer.Argument(help="Sound file, streamed at its own pace.", exists=True, dir_okay=False)
    ] = None,
    microphone: Annotated[
        bool, typer.Option("--microphone", help="Speak instead of playing a file.")
    ] = False,
    scripted: Annotated[
        bool, typer.Option("--scripted", help="Speak in tones, to a server with scripted engines.")
    ] = False,
    sentences: Annotated[int, typer.Option(help="Sentences of --scripted.", min=1)] = 10,
    script: Annotated[int, typer.Option(help="Script of --scripted: other words.", min=0, max=1023)] = 0,
    language: Language = "en",
    url: Url = places.DEFAULT_URL,
    token: Token = "",
    data_dir: DataDir = None,
    end: Annotated[
        bool, typer.Option("--end/--keep", help="End the session after the file, or keep it.")
    ] = True,
) -> None:
    """Make a session and speak.

    Prints the session's code, what is understood (tentative words grey), and warnings about the sound.
    """
    from cli import speak as command
    from cli import token as tokens

    if (file is not None) + microphone + scripted != 1:
        outcome.fail("name a sound file, or say --microphone or --scripted")

    async def work() -> int:
        options = command.SpeakOptions(
            url=url,
            token=tokens.given_or_minted(token, places.data_dir_or_default(data_dir)),
            source_language=language,
            file=file,
            end=end,
            script=command.Script(script, sentences) if scripted else None,
        )
        return await command.speak(options, Console())

    outcome.run(work())


@app.command(epilog="Example: babelcast listen golden-eagle-427 --to es --out talk.wav")
def listen(
    code: Annotated[str, typer.Argument(help="The session's code.")],
    language: Annotated[str, typer.Option("--to", help="Language to hear.")],
    url: Url = places.DEFAULT_URL,
    out: Annotated[
        Path | None, typer.Option(help="Write the voice to this WAV file.", dir_okay=False)
    ] = None,
    voice: Annotated[bool, typer.Option("--voice/--no-voice", help="Play the voice, or stay silent.")] = True,
) -> None:
    """Listen to a session: captions as they come, the voice through the loudspeaker."""
    from cli import listen as command

    options = command.ListenOptions(url=url, code=code, language=language, out=out, voice=voice)
    outcome.run(command.listen(options, Console()))


@app.command(epilog="Example: babelcast token --subject alice --hours 2")
def token(
    data_dir: DataDir = None,
    subject: Annotated[str, typer.Option(help="Who the token speaks for.")] = "local-speaker",
    hours: Annotated[float, typer.Option(help="How long it is good.", min=0.01)] = 12.0,
    operator: Annotated[
        bool, typer.Option("--operator", help="Let its bearer see and end any session.")
    ] = False,
    operator_group: Group = OPERATOR_GROUP,
) -> None:
    """Print a speaker's, or an operator's, token of the local issuer."""
    from cli import token as tokens

    async def work() -> int:
        sys.stdout.write(
            tokens.mint(
                places.data_dir_or_default(data_dir),
                subject=subject,
                hours=hours,
                groups=[operator_group] if operator else [],
            )
            + "\n"
        )
        return outcome.OK

    outcome.run(work())


@app.command(epilog="Example: babelcast doctor --json")
def doctor(
    host: Annotated[
        str, typer.Option(help="Address a server would use.", envvar="HOST")
    ] = places.DEFAULT_HOST,
    port: Annotated[int, typer.Option(help="Port a server would use.", envvar="PORT")] = places.DEFAULT_PORT,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Check this machine: engines, models, packages, port, disk, sound; with how to mend each."""
    from cli import doctor as command

    patient = command.Patient(
        host=host, port=port, data_dir=places.data_dir_or_default(data_dir), environ=os.environ
    )
    raise typer.Exit(command.doctor(patient, Console(), as_json=as_json))


@app.command(epilog="Example: babelcast smoke ws://127.0.0.1:8080")
def smoke(
    url: Annotated[str, typer.Argument(help="Address of the gateway.")] = places.DEFAULT_URL,
    token: Token = "",
    data_dir: DataDir = None,
    speech: Annotated[
        Path, typer.Option(help="Speech to use.", exists=True, dir_okay=False, show_default=False)
    ] = places.SPEECH,
    source: Language = "en",
    target: Annotated[str, typer.Option("--to", help="Language heard.")] = "es",
    metrics_url: Annotated[
        list[str] | None,
        typer.Option(
            help="A Prometheus endpoint of the system, whose counters must tell of no fault; "
            "may be given again."
        ),
    ] = None,
    timeout: Annotated[float, typer.Option(help="For all tests together, s.", min=1)] = 180.0,
    as_json: Json = False,
) -> None:
    """Run the seven smoke tests against a running system; exit code 0 when all pass in time."""
    from cli import smoke as command
    from cli import sound
    from cli import token as tokens

    async def work() -> int:
        options = command.SmokeOptions(
            url=url,
            token=tokens.given_or_minted(token, places.data_dir_or_default(data_dir), subject="smoke"),
            speech=sound.load(speech),
            source_language=source,
            target_language=target,
            metrics_urls=metrics_url or [],
            timeout_s=timeout,
        )
        if as_json:
            return await command.smoke_for_programs(options, sys.stdout.write)
        return await command.smoke(options, Console())

    outcome.run(work())


@app.command(epilog="Example: babelcast watch --prometheus http://127.0.0.1:9090 --over 24h")
def watch(
    prometheus: Annotated[
        str, typer.Option(help="Address of Prometheus' HTTP API.", envvar="PROMETHEUS_URL", show_default=True)
    ] = "http://127.0.0.1:9090",
    over: Annotated[str, typer.Option(help="Span that is looked at, up to now: 1h, 30m.")] = "1h",
    baseline: Annotated[
        str, typer.Option(help="Compare with the same span so long before.", metavar="DURATION")
    ] = "24h",
    as_json: Json = False,
) -> None:
    """The figures of the first 24 hours after a deployment, and whether they call for a rollback.

    Ends with 0 when all is well, 1 when a rollback is called for, 2 when Prometheus cannot be asked or has no
    data of what happens, 3 when only a target is missed.
    """
    import msgspec

    from cli import watch as command

    try:
        options = command.WatchOptions(prometheus, command.seconds(over), command.seconds(baseline))
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None

    async def work() -> int:
        watched = await command.watch(options)
        if as_json:
            sys.stdout.write(msgspec.json.format(msgspec.json.encode(watched)).decode() + "\n")
        else:
            command.show(watched, Console())
        return int(watched.ending)

    outcome.run(work())


@bench_app.command(epilog="Example: babelcast bench latency --sessions 3 --minutes 5")
def latency(
    url: Annotated[str, typer.Option(help="A running server; by default one is started.")] = "",
    token: Token = "",
    data_dir: DataDir = None,
    speech: Annotated[
        list[Path] | None,
        typer.Option(help="Speech to use; may be given again.", exists=True, dir_okay=False),
    ] = None,
    source: Language = "en",
    languages: Annotated[str, typer.Option(help="Languages heard, with commas.")] = "es,pt,fr",
    sessions: Annotated[int, typer.Option(help="Sessions at once.", min=1)] = 1,
    minutes: Annotated[float, typer.Option(help="At least so long; 0: the speech once.", min=0)] = 0.0,
) -> None:
    """Lag at the listener: first caption, voice, stages; over time, and when one session is too many."""
    from bench.measures import repeated
    from cli import bench as command
    from cli import sound
    from cli import token as tokens

    async def work() -> int:
        sounds = [sound.load(path) for path in speech or [places.SPEECH]]
        good_token = tokens.given_or_minted(token, places.data_dir_or_default(data_dir)) if url else ""
        return await command.latency(
            url=url,
            token=good_token,
            speech=repeated(sounds, seconds=60 * minutes),
            source_language=source,
            target_languages=_codes(languages),
            sessions=sessions,
            console=Console(),
        )

    outcome.run(work())


@bench_app.command(epilog="Example: babelcast bench load --listeners 2000 --minutes 5 --report report.html")
def load(
    url: Annotated[
        list[str] | None,
        typer.Option(
            help="A running server; may be given again, then listeners are spread over all. By default one "
            "is started, with scripted engines unless there is --speech."
        ),
    ] = None,
    token: Token = "",
    data_dir: DataDir = None,
    speech: Annotated[
        list[Path] | None,
        typer.Option(
            help="Speech to use; may be given again. By default the tones of scripted engines.",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    source: Language = "en",
    languages: Annotated[str, typer.Option(help="Languages heard, with commas.")] = "es,pt,fr",
    sessions: Annotated[int, typer.Option(help="Sessions at once.", min=1)] = 1,
    listeners: Annotated[int, typer.Option(help="Listeners, all together.", min=1)] = 100,
    minutes: Annotated[float, typer.Option(help="How long they talk.", min=0.01)] = 1.0,
    audio: Annotated[VoiceChoice, typer.Option(help="How voices are encoded.")] = VoiceChoice.OPUS,
    delivery: Annotated[Delivery, typer.Option(help="How voices come.")] = Delivery.BINARY,
    ramp: Annotated[float, typer.Option(help="Time in which the listeners come in, s.", min=0)] = 10.0,
    control: Annotated[
        float, typer.Option(help="Pause and resume every so often, s; 0 for never.", min=0)
    ] = 15.0,
    processes: Annotated[int, typer.Option(help="Processes that the listeners are in.", min=1)] = 1,
    server_pid: Annotated[
        list[int] | None, typer.Option(help="A process of the server here, to tell what it uses.")
    ] = None,
    report: Annotated[
        Path | None, typer.Option(help="Write a report with charts to this HTML file.", dir_okay=False)
    ] = None,
    as_json: Json = False,
) -> None:
    """Thousands of listeners: times of delivery, joining and control; loss, duplicates, memory.

    Ends with 1 when there was loss, duplicates or errors.
    """
    from bench.load.run import LoadOptions
    from cli import bench as command
    from cli import sound
    from cli import token as tokens

    async def work() -> int:
        options = LoadOptions(
            urls=[address.normalise(text) for text in url or []],
            token=tokens.given_or_minted(token, places.data_dir_or_default(data_dir)) if url else "",
            listeners=listeners,
            languages=_codes(languages),
            sessions=sessions,
            seconds=60 * minutes,
            source_language=source,
            sounds=[sound.load(path) for path in speech or []],
            audio=audio.value,
            delivery=delivery.value,
            ramp_s=ramp,
            processes=processes,
            control_s=control,
            server_pids=server_pid or [],
        )
        return await command.load(command.LoadPlan(options, report, as_json), Console(stderr=as_json))

    outcome.run(work())


@tables_app.command(epilog="Example: babelcast tables create --tag Environment=dev")
def create(tag: Tags = None) -> None:
    """Make the tables, or mend them: keys, indexes, expiry, on-demand billing, tags. May be repeated."""
    from cli import tables as command

    outcome.run(command.create(os.environ, tag or [], Console()))


@tables_app.command(epilog="Example: babelcast tables check --tag Environment=dev")
def check(tag: Tags = None) -> None:
    """See that the tables are as they should be; exit code 0 when they are."""
    from cli import tables as command

    outcome.run(command.check(os.environ, tag or [], Console()))


@sessions_app.command("list", epilog="Example: babelcast sessions list --json")
def list_sessions(
    url: Url = places.DEFAULT_URL,
    token: OperatorToken = "",
    data_dir: DataDir = None,
    operator_group: Group = OPERATOR_GROUP,
    as_json: Json = False,
) -> None:
    """List the sessions that are on, oldest first: listeners, languages, state, and a hash of the speaker."""
    from cli import sessions as command

    async def work() -> int:
        good_token = _operator_token(token, data_dir, operator_group)
        return await command.show_all(url, good_token, Console(), as_json=as_json)

    outcome.run(work())


@sessions_app.command("show", epilog="Example: babelcast sessions show golden-eagle-427")
def show_session(
    code: Code,
    url: Url = places.DEFAULT_URL,
    token: OperatorToken = "",
    data_dir: DataDir = None,
    operator_group: Group = OPERATOR_GROUP,
    as_json: Json = False,
) -> None:
    """Show how a session stands."""
    from cli import sessions as command

    async def work() -> int:
        good_token = _operator_token(token, data_dir, operator_group)
        return await command.show(url, good_token, code, Console(), as_json=as_json)

    outcome.run(work())


@sessions_app.command("end", epilog="Example: babelcast sessions end golden-eagle-427")
def end_session(
    code: Code,
    url: Url = places.DEFAULT_URL,
    token: OperatorToken = "",
    data_dir: DataDir = None,
    operator_group: Group = OPERATOR_GROUP,
    as_json: Json = False,
) -> None:
    """End a session for everybody, at once."""
    from cli import sessions as command

    async def work() -> int:
        good_token = _operator_token(token, data_dir, operator_group)
        return await command.end(url, good_token, code, Console(), as_json=as_json)

    outcome.run(work())


@models_app.command("list", epilog="Example: babelcast models list")
def list_models(data_dir: DataDir = None, as_json: Json = False) -> None:
    """List each model with its size, origin and checksums, and the route of each direction."""
    from cli import models as command

    async def work() -> int:
        return command.show(_models(data_dir), Console(), as_json=as_json)

    outcome.run(work())


@models_app.command("add", epilog="Example: babelcast models add en-de")
def add_model(
    direction: Annotated[str, typer.Argument(help="SOURCE-TARGET, such as en-de.")],
    data_dir: DataDir = None,
    copy: Annotated[
        Path | None,
        typer.Option(
            "--from",
            help="Take the files from this folder, which has en-de in it.",
            exists=True,
            file_okay=False,
        ),
    ] = None,
) -> None:
    """Fetch a model from Mozilla, checksums verified; mend it if it is there and damaged.

    Where there is no direct model, those into English and out of it are fetched.
    """
    from cli import models as command

    async def work() -> int:
        pair = command.parse(direction)
        return await command.add(_models(data_dir), pair, Console(), copy=copy)

    outcome.run(work())


@models_app.command("remove", epilog="Example: babelcast models remove en-de")
def remove_model(
    direction: Annotated[str, typer.Argument(help="SOURCE-TARGET, such as en-de.")],
    data_dir: DataDir = None,
) -> None:
    """Remove a model that was added."""
    from cli import models as command

    async def work() -> int:
        return command.remove(_models(data_dir), command.parse(direction), Console())

    outcome.run(work())


@models_app.command("verify", epilog="Example: babelcast models verify")
def verify_models(
    direction: Annotated[str, typer.Argument(help="SOURCE-TARGET; by default all.")] = "",
    data_dir: DataDir = None,
) -> None:
    """Compute the SHA-256 of the models' files; exit code 1 when one is damaged."""
    from cli import models as command

    async def work() -> int:
        pair = command.parse(direction) if direction else None
        return command.check(_models(data_dir), pair, Console())

    outcome.run(work())


def _codes(languages: str) -> list[str]:
    """The codes of a list with commas."""
    return [language.strip() for language in languages.split(",") if language.strip()]


def _models(data_dir: Path | None) -> "Shelf":
    from cli import models as command

    return command.Shelf.open(os.environ, places.data_dir_or_default(data_dir))


def _operator_token(token: str, data_dir: Path | None, group: str) -> str:
    from cli import token as tokens

    directory = places.data_dir_or_default(data_dir)
    return tokens.given_or_minted(token, directory, subject="local-operator", groups=[group])
