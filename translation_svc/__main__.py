"""`python -m translation_svc`: the translation service alone."""

import sys
from collections.abc import Mapping

from babelcast import process
from babelcast.config import load
from babelcast.rpc.credentials import Protection
from translation_svc.composition import TranslationApp
from translation_svc.config import TranslationConfig


async def start(environ: Mapping[str, str]) -> TranslationApp:
    """Start the engines and serve as the environment says."""
    app = TranslationApp(load(TranslationConfig, environ), protection=Protection.of(environ))
    try:
        await app.start()
    except BaseException:
        await app.aclose()
        raise
    return app


if __name__ == "__main__":
    sys.exit(process.run(start, name="translation_svc"))
