"""What is counted and measured, in Prometheus' form.

Owns the metrics' names. It does not know where the numbers come from. No text of the user's is ever a label.
"""

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from vicinal_daemon.protocol import Answer

_BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60)
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """The daemon's metrics, in a registry of their own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"vicinal_{name}", text, labels, registry=self._registry)

        self._stages = Histogram(
            "vicinal_stage_seconds",
            "Time of each stage of an answer",
            ("stage",),
            buckets=_BUCKETS,
            registry=self._registry,
        )
        self._answers = counter("answers", "Completions answered, by adaptation", "kind")
        self._dropped = counter("requests_dropped", "Requests not answered, by error", "error")
        self._hits = counter("cache_hits", "Answers that needed no search or no tuning", "cache")
        self._queries = counter("queries", "Questions answered")
        self._gauges = {
            name: Gauge(f"vicinal_{name}", text, ("of",), registry=self._registry)
            for name, text in (
                ("queue", "Units that wait for the accelerator, by priority"),
                ("memory_bytes", "Resident memory, by process"),
                ("workspaces", "Repositories, by state"),
                ("adapters", "Adapters on disk: count and bytes"),
                ("engine", "Engine process: restarts"),
                ("remembered", "Tokens of repositories that the engine remembers"),
            )
        }

    def answered(self, answer: Answer) -> None:
        """Count a completion."""
        self._answers.labels(answer.adaptation.kind).inc()
        if answer.typed_ahead:
            self._hits.labels("typed_ahead").inc()
        elif answer.adaptation.kind == "cached":
            self._hits.labels("adapter").inc()
        for stage, seconds in answer.seconds.items():
            self._stages.labels(stage).observe(seconds)

    def dropped(self, error_type: str) -> None:
        """Count a request that ended in an error."""
        self._dropped.labels(error_type).inc()

    def queried(self) -> None:
        """Count a question."""
        self._queries.inc()

    def text(self, gauges: Mapping[str, Mapping[str, float]]) -> bytes:
        """Everything, with these readings: gauge -> label -> value."""
        for name, readings in gauges.items():
            gauge = self._gauges[name]
            gauge.clear()
            for label, value in readings.items():
                gauge.labels(label).set(value)
        return generate_latest(self._registry)
