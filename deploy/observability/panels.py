"""What a dashboard is made of, as values, and how Grafana wants it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from grafana_foundation_sdk.builders import common, dashboard, stat, timeseries
from grafana_foundation_sdk.builders.prometheus import Dataquery
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import common as shown
from grafana_foundation_sdk.models import dashboard as model

Unit: TypeAlias = Literal["s", "bytes", "percentunit", "short", "reqps", "cps", "currencyUSD", "none"]

TAG: Final = "babelcast"
SOURCE: Final = "$datasource"
"""The dashboard's variable: whoever looks chooses which Prometheus."""
ALERTS: Final = 'ALERTS{alertstate="firing", alertname!="Watchdog"}'
_HEIGHT: Final = 8
_GREEN, _ORANGE, _RED = "green", "orange", "red"


@dataclass(frozen=True, slots=True)
class Query:
    """One PromQL expression. `legend` names its series, `{{label}}` by a label's value."""

    expr: str
    legend: str = ""


@dataclass(frozen=True, slots=True)
class Graph:
    """Lines over time. `limit` draws where it becomes too much, in the panel's unit."""

    title: str
    queries: Sequence[Query]
    unit: Unit = "short"
    note: str = ""
    limit: float | None = None
    width: int = 8
    stacked: bool = False


@dataclass(frozen=True, slots=True)
class Number:
    """One figure: what a query says now. From `warn` on it is orange, from `bad` on red; where `bad` is the
    smaller one, less is worse.
    """

    title: str
    query: Query
    unit: Unit = "short"
    note: str = ""
    warn: float | None = None
    bad: float | None = None
    width: int = 4


Panel: TypeAlias = Graph | Number


@dataclass(frozen=True, slots=True)
class Row:
    """Panels under a heading."""

    title: str
    panels: Sequence[Panel]


@dataclass(frozen=True, slots=True)
class Board:
    """A dashboard. `uid` is its address, so it never changes."""

    uid: str
    title: str
    about: str
    rows: Sequence[Row]

    @property
    def queries(self) -> list[str]:
        """All its expressions."""
        return [query.expr for row in self.rows for panel in row.panels for query in queries_of(panel)]


def queries_of(panel: Panel) -> Sequence[Query]:
    """What a panel asks."""
    return panel.queries if isinstance(panel, Graph) else [panel.query]


def rate(metric: str, by: str = "", where: str = "", legend: str = "") -> Query:
    """A counter's growth each second, for each value of the labels `by`."""
    labels = f" by ({by})" if by else ""
    return Query(
        f"sum{labels} (rate({metric}{where}[$__rate_interval]))",
        legend or " ".join(f"{{{{{label.strip()}}}}}" for label in by.split(",") if by),
    )


def events(metric: str, by: str, legend: str = "") -> Query:
    """A counter's growth each second, for those values of the labels `by` of which there is any."""
    grows = rate(metric, by, legend=legend)
    return Query(f"{grows.expr} > 0", grows.legend)


def percentile(share: float, histogram: str, by: str = "", where: str = "", legend: str = "") -> Query:
    """What `share` of a histogram's values stay under, for each value of the labels `by`."""
    labels = f"le, {by}" if by else "le"
    names = "".join(f" {{{{{label.strip()}}}}}" for label in by.split(",") if by)
    return Query(
        f"histogram_quantile({share}, sum by ({labels}) (rate({histogram}_bucket{where}[$__rate_interval])))",
        legend or f"p{share * 100:g}{names}",
    )


def percentiles(histogram: str, by: str = "", where: str = "") -> list[Query]:
    """p50, p95 and p99."""
    return [percentile(share, histogram, by, where) for share in (0.5, 0.95, 0.99)]


def render(board: Board, others: Sequence[Board]) -> dashboard.Dashboard:
    """`board` as Grafana has it, with links to `others`."""
    built = (
        dashboard.Dashboard(board.title)
        .uid(board.uid)
        .description(board.about)
        .tags([TAG])
        .readonly()
        .timezone("browser")
        .time("now-3h", "now")
        .refresh("30s")
        .tooltip(model.DashboardCursorSync.CROSSHAIR)
        .with_variable(dashboard.DatasourceVariable("datasource").label("Prometheus").type("prometheus"))
        .annotation(
            dashboard.AnnotationQuery()
            .name("Alerts")
            .datasource(_source())
            .enable(True)
            .icon_color(_RED)
            .expr(ALERTS)
        )
    )
    for other in others:
        built = built.link(
            dashboard.DashboardLink(other.title)
            .type(model.DashboardLinkType.LINK)
            .url(f"/d/{other.uid}")
            .include_vars(True)
            .keep_time(True)
        )
    number = 0
    for row in board.rows:
        built = built.with_row(dashboard.Row(row.title))
        for panel in row.panels:
            number += 1
            built = built.with_panel(_panel(panel, number))
    return built


def _source() -> model.DataSourceRef:
    return model.DataSourceRef(type_val="prometheus", uid=SOURCE)


def _panel(panel: Panel, number: int) -> Builder[model.Panel]:
    return _graph(panel, number) if isinstance(panel, Graph) else _number(panel, number)


def _graph(graph: Graph, number: int) -> timeseries.Panel:
    legend = (
        common.VizLegendOptions()
        .display_mode(shown.LegendDisplayMode.TABLE)
        .placement(shown.LegendPlacement.BOTTOM)
        .show_legend(True)
        .calcs(["lastNotNull", "max"])
    )
    panel = (
        timeseries.Panel()
        .id(number)
        .title(graph.title)
        .description(graph.note)
        .datasource(_source())
        .unit(graph.unit)
        .min(0)
        .height(_HEIGHT)
        .span(graph.width)
        .fill_opacity(30 if graph.stacked else 5)
        .show_points(shown.VisibilityMode.NEVER)
        .legend(legend)
        .tooltip(
            common.VizTooltipOptions().mode(shown.TooltipDisplayMode.MULTI).sort(shown.SortOrder.DESCENDING)
        )
    )
    if graph.stacked:
        panel = panel.stacking(common.StackingConfig().mode(shown.StackingMode.NORMAL))
    if graph.limit is not None:
        panel = panel.thresholds(_steps([(None, _GREEN), (graph.limit, _RED)])).thresholds_style(
            common.GraphThresholdsStyleConfig().mode(shown.GraphThresholdsStyleMode.DASHED)
        )
    for place, query in enumerate(graph.queries):
        panel = panel.with_target(_target(query, chr(ord("A") + place)))
    return panel


def _number(number: Number, place: int) -> stat.Panel:
    return (
        stat.Panel()
        .id(place)
        .title(number.title)
        .description(number.note)
        .datasource(_source())
        .unit(number.unit)
        .no_value("–")
        .height(_HEIGHT // 2)
        .span(number.width)
        .color_mode(shown.BigValueColorMode.VALUE)
        .graph_mode(shown.BigValueGraphMode.AREA)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .thresholds(_steps(_colours(number)))
        .with_target(_target(number.query, "A"))
    )


def _colours(number: Number) -> list[tuple[float | None, str]]:
    if number.bad is None:
        return [(None, _GREEN)]
    warn = number.bad if number.warn is None else number.warn
    if number.bad < warn:
        return [(None, _RED), (number.bad, _ORANGE), (warn, _GREEN)]
    return [(None, _GREEN), *([(warn, _ORANGE)] if warn < number.bad else []), (number.bad, _RED)]


def _steps(steps: Sequence[tuple[float | None, str]]) -> dashboard.ThresholdsConfig:
    return (
        dashboard.ThresholdsConfig()
        .mode(model.ThresholdsMode.ABSOLUTE)
        .steps([model.Threshold(value=value, color=colour) for value, colour in steps])
    )


def _target(query: Query, name: str) -> Dataquery:
    return Dataquery().expr(query.expr).legend_format(query.legend).range().ref_id(name).datasource(_source())
