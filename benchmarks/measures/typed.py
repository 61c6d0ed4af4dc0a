"""How long a client waits for the rest of an answer that the user types."""

import time

from measures.house import House, Sizes, daemon, one_a_file, package, ready
from measures.table import Row, Rows, milliseconds


def measure(home: House, sizes: Sizes) -> Rows:
    root = package("rich", home.folder / "rich")
    times: list[float] = []
    with daemon(home) as client:
        ready(client, root)
        for spot in one_a_file(root):
            text = client.complete(spot.ask(client="typed", budget_ms=300)).completion.text
            for length in range(1, len(text)):
                request = spot.ask(text[:length], client="typed", budget_ms=300)
                begun = time.perf_counter()
                answer = client.complete(request)
                seen = time.perf_counter() - begun
                if not answer.typed_ahead:
                    raise SystemExit(f"{spot.path}:{spot.line}: the answer was not the rest of the last one")
                times.append(seen)
            if len(times) >= sizes.typed:
                break
    yield Row(f"typed-ahead answer from cache ({len(times)})", "p95 < 5 ms", milliseconds(times))
