"""Routes as data."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from translation_svc.route_data import Measured, RouteData, StepCost, published
from translation_svc.routes import Routes, Step
from translation_svc.translators.apertium import MODES
from translation_svc.translators.base import Pair

MODELS = {Pair("en", "pt"), Pair("pt", "en")}
ALL = {"bergamot": MODELS, "apertium": MODES.keys()}


def _languages(route: tuple[Step, ...] | None) -> str:
    assert route is not None
    return " ".join([route[0].pair.source, *(step.pair.target for step in route)])


def test_english_reaches_six_languages_by_the_measured_chains() -> None:
    """The chains that were measured best."""
    routes = Routes.between(ALL)
    assert routes.targets("en") == ["ca", "es", "fr", "gl", "it", "pt"]
    assert {target: _languages(routes.find("en", target)) for target in routes.targets("en")} == {
        "pt": "en pt",
        "es": "en pt es",
        "ca": "en pt es ca",
        "gl": "en pt es gl",
        "fr": "en pt es ca fr",
        "it": "en pt es ca it",
    }


def test_the_way_back_is_the_same_chain() -> None:
    """Every spoken language reaches English."""
    routes = Routes.between(ALL)
    assert _languages(routes.find("fr", "en")) == "fr ca es pt en"
    assert _languages(routes.find("it", "fr")) == "it ca fr"
    assert sorted(routes.sources) == ["ca", "en", "es", "fr", "gl", "it", "pt"]


def test_without_apertium_only_the_models_are_left() -> None:
    """What is not installed is not offered."""
    routes = Routes.between({"bergamot": MODELS, "apertium": set()})
    assert {source: routes.targets(source) for source in routes.sources} == {"en": ["pt"], "pt": ["en"]}
    assert routes.find("en", "es") is None


def test_without_anything_there_are_no_routes() -> None:
    """Not an exception."""
    assert Routes.between({}).targets("en") == []


def test_a_direct_model_is_preferred_and_shortens_other_routes() -> None:
    """A model from English into Spanish serves Spanish and what lies behind it; German becomes possible."""
    routes = Routes.between(
        {"bergamot": {*MODELS, Pair("en", "es"), Pair("en", "de")}, "apertium": MODES.keys()}
    )
    assert routes.find("en", "es") == (Step("bergamot", Pair("en", "es")),)
    assert _languages(routes.find("en", "ca")) == "en es ca"
    assert _languages(routes.find("es", "de")) == "es pt en de"


def test_a_language_needs_no_steps_to_itself() -> None:
    """Its own listeners get the text as it is."""
    assert Routes.between(ALL).find("en", "en") == ()


def test_shared_steps_are_those_of_more_than_one_target() -> None:
    """The last steps of single languages are not among them."""
    shared = Routes.between(ALL).shared_steps("en")
    assert [(step.pair.source, step.pair.target) for step in shared] == [
        ("en", "pt"),
        ("pt", "es"),
        ("es", "ca"),
    ]


def test_costs_put_routes_in_the_order_of_their_measured_quality() -> None:
    """Of several measured routes between two languages, the best is the cheapest, with all of them there."""
    data = published()
    every = {step for one in data.measured for step in one.route}
    engines = {step.engine: {other.pair for other in every if other.engine == step.engine} for step in every}
    routes = Routes.between(engines)
    best: dict[Pair, Measured] = {}
    for one in data.measured:
        ends = Pair(one.route[0].pair.source, one.route[-1].pair.target)
        best[ends] = max(one, best.get(ends, one), key=lambda measured: measured.chrf)
    assert len(best) < len(data.measured)
    for ends, one in best.items():
        assert routes.find(ends.source, ends.target) == one.route
        assert data.chrf(one.route) == one.chrf


def test_measured_routes_hang_together() -> None:
    """Each step begins where the one before ended."""
    for one in published().measured:
        for before, after in itertools.pairwise(one.route):
            assert before.pair.target == after.pair.source


def test_a_step_of_a_model_is_preferred_over_any_chain() -> None:
    """Whatever there is besides."""
    routes = Routes.between(
        {"bergamot": {*MODELS, Pair("es", "en"), Pair("fr", "it")}, "apertium": MODES.keys()}
    )
    assert routes.find("es", "en") == (Step("bergamot", Pair("es", "en")),)
    assert routes.find("fr", "it") == (Step("bergamot", Pair("fr", "it")),)


def test_costs_may_be_given() -> None:
    """By engine and by step; a step's own goes first."""
    steps = (StepCost(engine="apertium", between=("en", "es"), cost=0.5),)
    engines = {"bergamot": {Pair("en", "pt"), Pair("pt", "es")}, "apertium": {Pair("en", "es")}}
    cheap = RouteData(of_engines={"bergamot": 0.3, "apertium": 2.0}, step=steps)
    assert _languages(Routes.between(engines, cheap).find("en", "es")) == "en es"
    dear = RouteData(of_engines={"bergamot": 0.2, "apertium": 2.0}, step=steps)
    assert _languages(Routes.between(engines, dear).find("en", "es")) == "en pt es"
    assert (dear.cost(Step("other", Pair("a", "b"))), dear.chrf(())) == (1.0, None)


_pairs = st.sets(
    st.builds(Pair, st.sampled_from("abcdef"), st.sampled_from("abcdef")).filter(
        lambda pair: pair.source != pair.target
    )
)


@given(_pairs, _pairs)
def test_routes_are_connected_and_form_a_tree(models: set[Pair], rules: set[Pair]) -> None:
    """Each step begins where the last one ended, and two routes that part do not meet again."""
    routes = Routes.between({"bergamot": models, "apertium": rules})
    for source, targets in routes.by_source.items():
        arrivals: dict[str, tuple[Step, ...]] = {}
        for target, route in targets.items():
            assert route[0].pair.source == source
            assert route[-1].pair.target == target
            for index, step in enumerate(route):
                assert index == 0 or route[index - 1].pair.target == step.pair.source
                way = route[: index + 1]
                assert arrivals.setdefault(step.pair.target, way) == way
