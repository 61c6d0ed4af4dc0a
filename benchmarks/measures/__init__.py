"""What `benchmarks/daemon.py` measures, one module a measure."""
