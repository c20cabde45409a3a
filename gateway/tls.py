"""TLS of the gateway's port, with a certificate that follows its files."""

import logging
import ssl
from typing import Final

from babelcast.config import ConfigError
from babelcast.rpc.tls_files import Paths, Pem, TlsFiles
from gateway.config import GatewayConfig

HANDSHAKE_S: Final = 10.0
"""How long a client may take to agree on a key."""
CIPHERS: Final = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""Of TLS 1.2: forward secret and authenticated alone (RFC 9325, 4.2). TLS 1.3 has no others."""

log = logging.getLogger(__name__)


class ServerTls:
    """What each handshake is made with: the newest files that are fit for use."""

    def __init__(self, files: TlsFiles) -> None:
        """Raises: ConfigError."""
        self._files = files
        self._pem = files.current()
        try:
            self._newest = _context(files.paths)
        except (ssl.SSLError, OSError) as error:
            raise ConfigError(f"{files.paths.cert} cannot be used: {error}") from error
        self.context = self._newest
        """For the listening socket; later certificates are chosen as a client says hello."""
        self.context.sni_callback = self._choose

    def _choose(self, client: ssl.SSLObject | ssl.SSLSocket, name: str | None, _: ssl.SSLContext) -> None:  # noqa: ARG002 - there is one certificate for all names
        pem = self._files.current()
        if pem is not self._pem:
            self._take(pem)
        if client.context is not self._newest:
            client.context = self._newest

    def _take(self, pem: Pem) -> None:
        try:
            self._newest = _context(self._files.paths)
        except (ssl.SSLError, OSError) as error:  # replaced again this moment: the next client's hello tries
            log.warning("certificate not taken yet", extra={"cause": type(error).__name__})
        else:
            self._pem = pem


def server_tls(config: GatewayConfig) -> ServerTls | None:
    """As configured; None for plain HTTP. Raises: ConfigError."""
    paths = Paths.of(TLS_CERT=config.tls_cert, TLS_KEY=config.tls_key)
    return None if paths is None else ServerTls(TlsFiles(paths))


def _context(paths: Paths) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    context.set_alpn_protocols(["http/1.1"])
    context.load_cert_chain(paths.cert, paths.key, password="")
    return context
