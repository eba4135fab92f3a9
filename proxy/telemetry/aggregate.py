"""Metrics of a node of several processes."""

from collections.abc import Hashable, Iterable

from prometheus_client.metrics_core import Metric


class AggregatedMetrics:
    """A prometheus_client collector that adds up the samples of several processes.

    `gather` takes the latest metrics of a running process. Counters of ended processes stay included.
    """

    def __init__(self) -> None:
        self._living: dict[Hashable, list[Metric]] = {}
        self._ended: list[Metric] = []

    def gather(self, process: Hashable, metrics: list[Metric]) -> None:
        self._living[process] = metrics

    def end(self, process: Hashable) -> None:
        """Keeps the counters of an ended process and drops its gauges."""
        counted = [metric for metric in self._living.pop(process, []) if metric.type != "gauge"]
        self._ended = _added([self._ended, counted])

    def collect(self) -> list[Metric]:
        return _added([self._ended, *self._living.values()])


def _added(reports: Iterable[list[Metric]]) -> list[Metric]:
    """Adds samples of the same name and labels."""
    families: dict[str, Metric] = {}
    sums: dict[str, dict[tuple[str, tuple[tuple[str, str], ...]], float]] = {}
    for metric in (metric for report in reports for metric in report):
        families.setdefault(metric.name, metric)
        of_family = sums.setdefault(metric.name, {})
        for sample in metric.samples:
            if sample.name.endswith("_created") or sample.name == "process_start_time_seconds":
                continue  # Points in time cannot be added.
            labelled = sample.name, tuple(sorted(sample.labels.items()))
            of_family[labelled] = of_family.get(labelled, 0.0) + sample.value
    added = []
    for name, metric in families.items():
        family = Metric(name, metric.documentation, metric.type)
        for (sample_name, labels), value in sums[name].items():
            family.add_sample(sample_name, dict(labels), value)
        added.append(family)
    return added
