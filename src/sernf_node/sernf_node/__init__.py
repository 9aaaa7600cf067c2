"""What every SERNF node shares."""

from sernf_node.diagnostics import DiagnosticLevel, Diagnostics
from sernf_node.node import SernfNode, run_node

__all__ = ["DiagnosticLevel", "Diagnostics", "SernfNode", "run_node"]
