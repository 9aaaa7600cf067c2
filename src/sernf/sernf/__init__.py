"""Bringup, command line, episode runner and benches."""
