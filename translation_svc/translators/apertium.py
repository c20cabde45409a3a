"""Apertium's rule-based pairs, each mode one pipeline that is kept alive."""

import re
import shutil
from collections.abc import Mapping, Set
from pathlib import Path

from translation_svc.failures import EngineMissing
from translation_svc.framing import NullTerminated
from translation_svc.translators.apertium_stages import parse_stages
from translation_svc.translators.base import Capabilities, Pair
from translation_svc.turns import Urgency
from translation_svc.worker import Deadlines, WorkerProcess, python_worker

# spa-ita and the English pairs are left out on purpose: chains through pt, es and ca are better.
MODES: Mapping[Pair, str] = {
    Pair("es", "pt"): "es-pt",
    Pair("pt", "es"): "pt-es",
    Pair("es", "ca"): "spa-cat",
    Pair("ca", "es"): "cat-spa",
    Pair("es", "gl"): "es-gl",
    Pair("gl", "es"): "gl-es",
    Pair("ca", "fr"): "cat-fra",
    Pair("fr", "ca"): "fra-cat",
    Pair("ca", "it"): "cat-ita",
    Pair("it", "ca"): "ita-cat",
}
_TOOLS = ("apertium-wblank-mode", "apertium-wblank-attach", "apertium-wblank-detach")
_SPECIAL = re.compile(r"([\[\]{}^$/\\@<>])")
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_MARK = re.compile(r"(?<![^\s(«\"'¿¡])[*#@](?=\w)")
# Without a blank after the sentence, `lt-proc -b` waits for more and never flushes.
_FLUSH = "[]"


def installed_modes(modes_dir: Path) -> Mapping[Pair, Path]:
    """The mode files whose programs and data are all there."""
    if not all(map(shutil.which, _TOOLS)):
        return {}
    files = {pair: modes_dir / f"{name}.mode" for pair, name in MODES.items()}
    return {pair: file for pair, file in files.items() if file.is_file() and _complete(file)}


def escape(text: str) -> str:
    """Text as Apertium's stream format wants it, with the final blank that makes every stage flush."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.replace("\0", " ").split())) + _FLUSH


def unescape(answer: str, *, of: str) -> str:
    """The text of an answer to `of`, without the final blank and without marks of unknown words."""
    text = _ESCAPED.sub(r"\1", answer.strip().removesuffix(_FLUSH)).strip()
    return text if any(mark in of for mark in "*#@") else _MARK.sub("", text)


class ApertiumTranslator:
    """Translates with the installed modes: 1 to 7 ms a sentence, modes side by side."""

    name = "apertium"
    capabilities = Capabilities()

    def __init__(self, modes: Mapping[Pair, Path], *, deadlines: Deadlines) -> None:
        self.pipelines = {
            pair: WorkerProcess(
                f"apertium {file.stem}",
                python_worker("translation_svc.translators.apertium_stages", str(file)),
                framing=NullTerminated(),
                deadlines=deadlines,
                greet=escape(".").encode(),
            )
            for pair, file in modes.items()
        }

    @property
    def pairs(self) -> Set[Pair]:
        """The directions with a mode."""
        return self.pipelines.keys()

    async def warm(self, pair: Pair) -> None:
        """Start the pipeline, 0.1 to 2 s."""
        await self._pipeline(pair).warm()

    async def translate(
        self,
        text: str,
        pair: Pair,
        *,
        urgency: Urgency,
        context: str = "",  # noqa: ARG002 - it takes none
    ) -> str:
        """One sentence."""
        answer = await self._pipeline(pair).call(escape(text).encode(), urgency=urgency)
        return unescape(answer.decode(errors="replace"), of=text)

    async def aclose(self) -> None:
        """End all pipelines."""
        for pipeline in self.pipelines.values():
            await pipeline.aclose()

    def _pipeline(self, pair: Pair) -> WorkerProcess:
        pipeline = self.pipelines.get(pair)
        if pipeline is None:
            raise EngineMissing(self.name, f"no mode from {pair.source} to {pair.target}")
        return pipeline


def _complete(mode_file: Path) -> bool:
    stages = parse_stages(mode_file.read_text(encoding="utf-8"))
    data = [Path(word) for stage in stages for word in stage[1:] if word.startswith("/")]
    return all(shutil.which(stage[0]) for stage in stages) and all(file.exists() for file in data)
