"""Callbacks for those who prefer them to `async for`."""

from collections.abc import AsyncIterable, Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeAlias, TypeVar

from babelcast.client.events import Event

EventT = TypeVar("EventT", bound=Event)
_Act: TypeAlias = Callable[[Event], Awaitable[None] | None]


@dataclass(slots=True)
class Handlers:
    """Functions, plain or asynchronous, by the type of event that they are for.

        handlers = Handlers()

        @handlers.on(Caption)
        def show(caption: Caption) -> None: ...

        await handlers.run(listener)

    An event goes to every handler of its type, one after the other; what one raises ends `run`.
    """

    _acts: list[_Act] = field(default_factory=list)

    def on(
        self, kind: type[EventT]
    ) -> Callable[[Callable[[EventT], Awaitable[None] | None]], Callable[[EventT], Awaitable[None] | None]]:
        """Decorate the function that is called with each event of a type."""

        def register(
            act: Callable[[EventT], Awaitable[None] | None],
        ) -> Callable[[EventT], Awaitable[None] | None]:
            def act_if_it_fits(event: Event) -> Awaitable[None] | None:
                return act(event) if isinstance(event, kind) else None

            self._acts.append(act_if_it_fits)
            return act

        return register

    async def run(self, source: AsyncIterable[Event]) -> None:
        """Call the handlers until `source`, a Speaker or a Listener, has no more events.

        Raises: BabelcastError when the connection is lost for good, and what a handler raises.
        """
        async for event in source:
            for act in self._acts:
                doing = act(event)
                if doing is not None:
                    await doing
