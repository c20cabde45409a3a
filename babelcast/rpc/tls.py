"""Mutual TLS of gRPC: credentials of both sides that follow their files.

A server takes what is in the files at each handshake, a client at each call (credentials_channel.py).
Connections that are open stay as they are. gRPC speaks TLS 1.2 and 1.3, nothing older.
"""

import grpc

from babelcast.rpc.tls_files import Pem, TlsFiles


def server_credentials(files: TlsFiles) -> grpc.ServerCredentials:
    """For a server that shows its certificate, and takes only clients with one of the same authority."""
    first = files.current()
    shown = [first]

    def newest() -> grpc.ServerCertificateConfiguration | None:
        """Asked by gRPC, in a thread of its own, at each handshake; None when nothing has changed."""
        pem = files.current()
        if pem is shown[0]:
            return None
        shown[0] = pem
        return _configuration(pem)

    return grpc.dynamic_ssl_server_credentials(
        _configuration(first),
        newest,  # type: ignore[arg-type] # None is documented, and missing in the stubs
        require_client_authentication=True,
    )


def channel_credentials(pem: Pem) -> grpc.ChannelCredentials:
    """For a client that shows its certificate, and takes only servers of the same authority whose
    certificate has the name that was dialled.
    """
    return grpc.ssl_channel_credentials(
        root_certificates=pem.ca, private_key=pem.key, certificate_chain=pem.cert
    )


def _configuration(pem: Pem) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration([(pem.key, pem.cert)], root_certificates=pem.ca)
