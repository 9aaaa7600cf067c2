"""Operator devices, teleoperation with takeover, and the episode recorder."""
