"""A language that the scripted engines do not have, put on the wire in the place of one that they have."""

import json
from dataclasses import dataclass
from typing import TypeAlias

from playwright.async_api import BrowserContext, Route, WebSocketRoute

Json: TypeAlias = dict[str, object]
Frame: TypeAlias = str | bytes

_LENGTH_BYTES = 4


@dataclass  # neither frozen nor with slots: Playwright marks the owners of the methods that it is given
class Pretence:
    """What a page takes for `language` is `real`, its sentences all `text`."""

    language: str
    real: str
    text: str

    async def begin(self, context: BrowserContext) -> None:
        """From now on, for the pages of a browser."""
        await context.route("**/config.json", self._settings)
        await context.route_web_socket(lambda url: url.startswith("ws"), self._socket)

    async def _settings(self, route: Route) -> None:
        settings: dict[str, dict[str, dict[str, list[str]]]] = await (await route.fetch()).json()
        for targets in settings["languages"]["targets"].values():
            targets.append(self.language)
        await route.fulfill(json=settings)

    def _socket(self, page: WebSocketRoute) -> None:
        server = page.connect_to_server()
        page.on_message(lambda frame: server.send(self._renamed(frame, self.language, self.real)))
        server.on_message(lambda frame: page.send(self._renamed(frame, self.real, self.language)))

    def _renamed(self, frame: Frame, old: str, new: str) -> Frame:
        if isinstance(frame, str):
            return json.dumps(self._message(json.loads(frame), old, new))
        if frame[:1] != b"\0":
            return frame  # sound
        end = _LENGTH_BYTES + int.from_bytes(frame[:_LENGTH_BYTES], "big")
        head = json.dumps(self._message(json.loads(frame[_LENGTH_BYTES:end]), old, new)).encode()
        return len(head).to_bytes(_LENGTH_BYTES, "big") + head + frame[end:]

    def _message(self, message: Json, old: str, new: str) -> Json:
        if message.get("type") in ("caption", "translatedAudio"):
            said = "text" if message["type"] == "caption" else "transcript"
            message = {**message, said: self.text}
        targets = message.get("targets")
        if isinstance(targets, dict):
            message = {**message, "targets": {source: [*to, self.language] for source, to in targets.items()}}
        return {**message, "targetLanguage": new} if message.get("targetLanguage") == old else message
