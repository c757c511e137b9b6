"""The metrics' own promises: what is counted is shown, labels are bounded, and a part that fails hides nothing else."""

from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry, Metric
from prometheus_client.parser import text_string_to_metric_families

from core import metrics


@pytest.fixture(autouse=True)
def own_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "registry", CollectorRegistry())
    monkeypatch.setattr(metrics, "installation", metrics._Installation())


def shown(*, whole: bool = False) -> dict[tuple[str, tuple[str, ...]], float]:
    """(name, label values) -> figure, as Prometheus reads it."""
    text, _ = metrics.exposition(whole=whole)
    families = text_string_to_metric_families(text.decode())
    return {(s.name, tuple(s.labels.values())): s.value for family in families for s in family.samples}


def test_what_is_counted_is_shown_by_its_labels():
    sent = metrics.counter("sent_total", "Sent.", "channel", "outcome")
    sent.inc("email", "sent", by=500)
    sent.inc("email", "sent")
    assert shown() == {("carillon_sent_total", ("email", "sent")): 501.0}


def test_a_counter_without_labels_is_there_before_anything_happens():
    metrics.counter("refused_total", "Refused.")
    assert shown() == {("carillon_refused_total", ()): 0.0}


def test_a_gauge_says_the_last_figure():
    depth = metrics.gauge("depth", "Depth.", "lane")
    depth.set("email", to=5)
    depth.set("email", to=2)
    assert shown() == {("carillon_depth", ("email",)): 2.0}


def test_a_histogram_counts_a_batch_at_once_and_its_bounds_belong_below():
    took = metrics.histogram("took_seconds", "Took.", "channel", bounds=(0.1, 1.0))
    took.observe("sms", value=0.1, times=3)
    took.observe("sms", value=7.0)
    figures = shown()
    assert figures["carillon_took_seconds_bucket", ("sms", "0.1")] == 3
    assert figures["carillon_took_seconds_bucket", ("sms", "1.0")] == 3
    assert figures["carillon_took_seconds_bucket", ("sms", "+Inf")] == 4
    assert figures["carillon_took_seconds_count", ("sms",)] == 4
    assert figures["carillon_took_seconds_sum", ("sms",)] == pytest.approx(7.3)


def test_made_up_label_values_end_in_one_series(monkeypatch: pytest.MonkeyPatch):
    # Given a metric of at most three series
    monkeypatch.setattr(metrics, "MAX_SERIES", 3)
    hits = metrics.counter("hits_total", "Hits.", "path")
    # When a caller gets hold of its label
    for n in range(50):
        hits.inc(f"/{n}")
    # Then nothing is lost, and nothing grows
    assert len(shown()) == 4
    assert shown()["carillon_hits_total", ("other",)] == 47
    hits.inc("/0")
    assert hits.value("/0") == 2


def test_a_wrong_number_of_labels_is_refused():
    with pytest.raises(TypeError, match="labels"):
        metrics.counter("x_total", "X.", "channel").inc()


def test_a_part_of_the_installation_that_fails_hides_nothing_else():
    # Given two parts, one of which cannot be read
    def broken() -> Iterator[Metric]:
        raise RuntimeError("PostgreSQL is away")

    def queues() -> Iterator[Metric]:
        family = metrics.gauge_family("queue", "Queue.", "channel")
        family.add_metric(["email"], 7)
        yield family

    metrics.installation.add("broken", broken)
    metrics.installation.add("queues", queues)
    # Then the other is shown, and which is missing is said
    assert shown(whole=True) == {
        ("carillon_queue", ("email",)): 7.0,
        ("carillon_collector_failed", ("broken",)): 1.0,
        ("carillon_collector_failed", ("queues",)): 0.0,
    }
    assert shown() == {}
