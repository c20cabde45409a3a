"""Which gateway is tried next."""

from babelcast.client.routes import Routes


def test_addresses_are_tried_in_turn_and_the_one_that_worked_first() -> None:
    """Who failed is passed over; who worked is the first choice."""
    routes = Routes(["a", "b", "c"])
    assert routes.pick(0) == ("a", 0)
    routes.pass_over("a")
    assert routes.pick(0) == ("b", 0)
    routes.pass_over("b")
    assert routes.pick(0) == ("c", 0)
    routes.worked("b")
    assert routes.pick(0) == ("b", 0)


def test_who_asks_for_patience_gets_it_while_others_are_tried() -> None:
    """When all have asked, the one that is due first is waited for."""
    routes = Routes(["a", "b"])
    routes.pass_over("a", until_s=20)
    assert routes.pick(10) == ("b", 0)
    routes.pass_over("b", until_s=15)
    assert routes.pick(10) == ("b", 5)
    assert routes.pick(30) == ("a", 0)


def test_a_single_address_is_tried_again() -> None:
    """There is no other."""
    routes = Routes(["a"])
    routes.pass_over("a", until_s=3)
    assert routes.pick(1) == ("a", 2)
    assert routes.pick(4) == ("a", 0)
