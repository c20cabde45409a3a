"""What a talk used of the engines and what that cost, beside how long it was listened to."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from msgspec import UNSET

from babelcast.event.v1 import event_pb2 as event
from babelcast.prices import Prices, Service
from babelcast.protocol import server_messages as say
from babelcast.telemetry.instruments import LISTENED
from babelcast.translation.v1 import translation_pb2 as api

_SERVICES: dict[int, Service] = {
    api.COMPONENT_TRANSLATION: "translation",
    api.COMPONENT_SPEECH: "speech",
}
_NAMED: dict[str, Service] = {
    "transcription": "transcription",
    "translation": "translation",
    "speech": "speech",
}
_MS_PER_S, _MS_PER_HOUR = 1_000, 3_600_000
_MICRO_USD = 6  # places: a sentence costs some millionths


@dataclass(slots=True)
class _Sum:
    amount: float = 0.0
    cost_usd: float = 0.0


class SessionUsage:
    """Adds up for one session, through all its owners: each tells the sums to the next with its checkpoints.
    What an owner that died used since its last one is missing.
    """

    def __init__(self, *, prices: Prices, listeners: int, clock_ms: Callable[[], int]) -> None:
        """`listeners` there are now."""
        self._prices = prices
        self._clock_ms = clock_ms
        self._listeners = listeners
        self._since_ms = clock_ms()
        self._listened_ms = 0
        self._sums: dict[tuple[Service, str, str], _Sum] = {}

    def note(self, checkpoint: event.Checkpoint) -> None:
        """Write the sums into what a next owner will read."""
        self.listening(self._listeners)
        checkpoint.listened_ms = self._listened_ms
        for (service, engine, language), part in self._sums.items():
            checkpoint.used.add(
                service=service,
                engine=engine,
                language=language,
                amount=part.amount,
                cost_usd=part.cost_usd,
            )

    def go_on(self, checkpoint: event.Checkpoint) -> None:
        """Add what the owner before this one had counted."""
        self._listened_ms += checkpoint.listened_ms
        for used in checkpoint.used:
            service = _NAMED.get(used.service)
            if service is not None:
                self._add(service, used.engine, used.language, amount=used.amount, cost_usd=used.cost_usd)

    def listening(self, listeners: int) -> None:
        """So many listen from now on."""
        now_ms = self._clock_ms()
        listened_ms = self._listeners * max(0, now_ms - self._since_ms)
        self._listened_ms += listened_ms
        self._listeners, self._since_ms = listeners, now_ms
        if listened_ms:
            LISTENED.add(listened_ms / _MS_PER_S)

    def transcribed(self, engine: str, seconds: float) -> None:
        """Speech was sent to be transcribed by an engine."""
        cost_usd = self._prices.usd("transcription", engine, seconds)
        self._add("transcription", engine, "", amount=seconds, cost_usd=cost_usd)

    def take(self, usages: Iterable[api.Usage]) -> None:
        """What the translation service told; it knows what its engines cost."""
        for usage in usages:
            service = _SERVICES.get(usage.component)
            if service is not None:
                self._add(
                    service,
                    usage.engine,
                    usage.language,
                    amount=usage.characters,
                    cost_usd=usage.cost_usd,
                )

    def told(self) -> say.Usage:
        """The sums until now."""
        self.listening(self._listeners)
        hours = self._listened_ms / _MS_PER_HOUR
        cost_usd = sum(part.cost_usd for part in self._sums.values())
        return say.Usage(
            listener_hours=round(hours, 4),
            cost_usd=round(cost_usd, _MICRO_USD),
            cost_per_listener_hour=round(cost_usd / hours, _MICRO_USD) if hours else UNSET,
            engines=[
                say.EngineUse(
                    component=service,
                    engine=engine,
                    language=language or UNSET,
                    amount=round(part.amount, 1),
                    unit="second" if service == "transcription" else "character",
                    cost_usd=round(part.cost_usd, _MICRO_USD),
                )
                for (service, engine, language), part in sorted(self._sums.items())
            ],
        )

    def _add(self, service: Service, engine: str, language: str, *, amount: float, cost_usd: float) -> None:
        part = self._sums.setdefault((service, engine, language), _Sum())
        part.amount += amount
        part.cost_usd += cost_usd
