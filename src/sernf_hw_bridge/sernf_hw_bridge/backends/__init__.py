"""Hardware behind one protocol: `sim`, `mock`, `franka`, `orca`."""
