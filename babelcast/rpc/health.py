"""Health that lets a server go: a Watch ends when the server drains, and does not hold it for its grace."""

import asyncio

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

_Status = health_pb2.HealthCheckResponse


class Health(health_pb2_grpc.HealthServicer):  # type: ignore[misc]
    """Tells the status of services. `drain` says NOT_SERVING for good and ends every Watch."""

    def __init__(self) -> None:
        self._statuses: dict[str, int] = {}
        self._draining = False
        self._changed = asyncio.Event()

    def set(self, service: str, *, serving: bool) -> None:
        """Set the status of a service; without effect while it drains."""
        if not self._draining:
            self._statuses[service] = _Status.SERVING if serving else _Status.NOT_SERVING
            self._tell()

    def drain(self) -> None:
        """Everything is NOT_SERVING from now on; idempotent."""
        self._draining = True
        self._statuses = dict.fromkeys(self._statuses, _Status.NOT_SERVING)
        self._tell()

    async def Check(  # noqa: N802 - named by the contract
        self,
        request: health_pb2.HealthCheckRequest,
        context: grpc.aio.ServicerContext[health_pb2.HealthCheckRequest, health_pb2.HealthCheckResponse],
    ) -> health_pb2.HealthCheckResponse:
        """The status now."""
        if request.service not in self._statuses:
            await context.abort(grpc.StatusCode.NOT_FOUND)
        return _Status(status=self._statuses[request.service])

    async def Watch(  # noqa: N802 - named by the contract
        self,
        request: health_pb2.HealthCheckRequest,
        context: grpc.aio.ServicerContext[health_pb2.HealthCheckRequest, health_pb2.HealthCheckResponse],
    ) -> None:
        """The status now and whenever it changes, until the server drains."""
        told = None
        while True:
            changed = self._changed
            status = self._statuses.get(request.service, _Status.SERVICE_UNKNOWN)
            if status != told:
                told = status
                await context.write(_Status(status=status))
            if self._draining:
                return
            await changed.wait()

    def _tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
