"""What counters say went wrong."""

import pytest
from aiohttp import web

from babelcast.errors import ServiceUnavailable
from babelcast.telemetry import instruments
from babelcast.telemetry.catalogue import CATALOGUE, Kind
from cli import counters

PAGE = """\
# HELP babelcast_gateway_errors_total Errors.
# TYPE babelcast_gateway_errors_total counter
babelcast_gateway_errors_total{code="SESSION_NOT_FOUND"} 7.0
babelcast_gateway_errors_total{code="INTERNAL_ERROR"} 2.0
# HELP babelcast_gateway_audio_chunks_total Chunks.
# TYPE babelcast_gateway_audio_chunks_total counter
babelcast_gateway_audio_chunks_total 110.0
# HELP babelcast_store_failures_total Failures.
# TYPE babelcast_store_failures_total counter
babelcast_store_failures_total{operation="join"} 1.0
babelcast_store_failures_total{operation="find"} 3.0
"""


def test_what_clients_do_wrong_is_no_fault() -> None:
    """Only codes of ours count, whatever other labels there are."""
    assert counters.counted(PAGE) == {
        "babelcast_gateway_errors_total": 2.0,
        "babelcast_gateway_audio_chunks_total": 110.0,
        "babelcast_store_failures_total": 4.0,
    }


def test_a_counter_that_began_anew_counts_from_nothing() -> None:
    """A process that was replaced has smaller counters; what did not change is left out."""
    zero = dict.fromkeys((*counters.FAULTS, counters.CHUNKS), 0.0)
    before = zero | {"babelcast_store_failures_total": 9.0, "babelcast_translation_failures_total": 1.0}
    after = zero | {"babelcast_store_failures_total": 2.0, "babelcast_translation_failures_total": 1.0}
    assert counters.grown([before], [after]) == {"babelcast_store_failures_total": 2.0}


def test_one_process_that_began_anew_leaves_the_others_as_they_were() -> None:
    """In a sum its smaller counter would make the whole look as if all had begun anew."""
    zero = dict.fromkeys((*counters.FAULTS, counters.CHUNKS), 0.0)
    old, young, new = (zero | {"babelcast_store_failures_total": count} for count in (100.0, 5.0, 3.0))
    assert counters.grown([old, young], [old, zero]) == {}
    assert counters.grown([old, young], [old, new]) == {"babelcast_store_failures_total": 3.0}


async def test_each_endpoint_is_read() -> None:
    """Each process has its own; one that does not answer is an error with its address."""
    application = web.Application()

    async def metrics(request: web.Request) -> web.Response:
        return web.Response(text=PAGE)

    application.router.add_get("/metrics", metrics)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/metrics"
    read = await counters.read([url, url])
    assert [page[counters.CHUNKS] for page in read] == [110, 110]
    assert read[0]["babelcast_translation_failures_total"] == 0
    with pytest.raises(ServiceUnavailable, match="nothing"):
        await counters.read([url.replace("metrics", "nothing")])
    await runner.cleanup()


def test_other_pages_are_no_metrics() -> None:
    """A proxy's page in the place of metrics is told as such."""
    with pytest.raises(ServiceUnavailable, match="no metrics"):
        counters.counted("<html>Sign in</html>")


def test_the_counters_are_those_that_services_export() -> None:
    """Each name is one of the instruments', and its label one that it has."""
    assert instruments.ERRORS is not None
    exported = {described.exported: described for described in CATALOGUE}
    assert counters.CHUNKS in exported
    for name, (label, _) in counters.FAULTS.items():
        assert exported[name].kind is Kind.COUNTER
        assert not label or label in exported[name].attributes
