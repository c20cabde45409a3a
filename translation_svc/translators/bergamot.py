"""Mozilla's student models, in one dedicated process."""

from collections.abc import Callable, Mapping, Set

import msgspec

from translation_svc.failures import EngineRefused
from translation_svc.framing import LengthPrefixed
from translation_svc.translators.base import Capabilities, Pair
from translation_svc.translators.bergamot_worker import Request
from translation_svc.translators.models import ModelFiles
from translation_svc.turns import Urgency
from translation_svc.worker import Deadlines, WorkerProcess, python_worker
from translation_svc.worker_loop import Reply


class BergamotTranslator:
    """Translates with the models it is given: 6 ms a sentence, all directions one after the other."""

    name = "bergamot"
    capabilities = Capabilities()

    def __init__(
        self,
        models: Mapping[Pair, ModelFiles],
        *,
        deadlines: Deadlines,
        on_rest: Callable[[float], None] | None = None,
    ) -> None:
        """`on_rest` is told when the process failed so often that it rests, and for how many seconds."""
        self._pairs = frozenset(models)
        listing = {_direction(pair): files for pair, files in models.items()}
        command = python_worker(
            "translation_svc.translators.bergamot_worker", msgspec.json.encode(listing).decode()
        )
        self.worker = WorkerProcess(
            self.name, command, framing=LengthPrefixed(), deadlines=deadlines, on_rest=on_rest
        )

    @property
    def pairs(self) -> Set[Pair]:
        """The directions with a model."""
        return self._pairs

    async def warm(self, pair: Pair) -> None:
        """Start the process and load the model."""
        await self._ask(Request(_direction(pair), ""), urgency=Urgency.FINAL)

    async def translate(
        self,
        text: str,
        pair: Pair,
        *,
        urgency: Urgency,
        context: str = "",  # noqa: ARG002 - it takes none
    ) -> str:
        """One sentence."""
        return await self._ask(Request(_direction(pair), text), urgency=urgency)

    async def aclose(self) -> None:
        """End the process."""
        await self.worker.aclose()

    async def _ask(self, request: Request, *, urgency: Urgency) -> str:
        answer = await self.worker.call(msgspec.msgpack.encode(request), urgency=urgency)
        reply = msgspec.msgpack.decode(answer, type=Reply)
        if reply.refused:
            raise EngineRefused(self.name, reply.refused)
        return reply.body.decode()


def _direction(pair: Pair) -> str:
    return f"{pair.source}-{pair.target}"
