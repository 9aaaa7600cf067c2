"""Benchmarks: what a measuring command prints, and one module a bench with `measure(seconds) -> Report`."""
