"""Operator devices: what a person (or a script in his place) holds in his hands."""
