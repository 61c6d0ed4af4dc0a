"""How long it is from a request to an adapter that can be worn: search, selection, the steps, the guard, the file."""

from measures.house import House, Sizes, Spot, daemon, one_a_file, package, quiet, ready, spread
from measures.table import Row, Rows, median, milliseconds
from vicinal_daemon.client import Client

STAGES = ("candidates", "select", "plan", "tune")


def measure(home: House, sizes: Sizes) -> Rows:
    """Each place twice: another seed asks for another adapter of the same code, which was read by then."""
    root = package("rich", home.folder / "rich")
    every = one_a_file(root)
    new, seen, steps = [], [], []
    with daemon(home) as client:
        ready(client, root)
        _adapt(client, every[-1], 0)  # loads what is loaded when first needed
        for spot in spread(every, sizes.adapted):
            quiet(client)
            for seconds, seed in ((new, 0), (seen, 1)):
                taken, took = _adapt(client, spot, seed)
                if taken:
                    seconds.append(took)
                    steps.append(taken)
    yield Row(f"request to adapter ready, the code is new to the model ({len(new)})", "", milliseconds(new, (50, 95)))
    yield Row(f"… the code was read before ({len(seen)})", "p50 < 1.5 s", milliseconds(seen, (50, 95)))
    yield Row("… steps, the median", "", f"{median(steps):g}" if steps else "none was worth it")


def _adapt(client: Client, spot: Spot, seed: int) -> tuple[int, float]:
    """Steps and seconds."""
    answer = client.complete(spot.ask(client="adapts", settings={"seed": seed, "adapters.near": 1.0}))
    return answer.adaptation.steps, sum(answer.seconds.get(stage, 0.0) for stage in STAGES)
