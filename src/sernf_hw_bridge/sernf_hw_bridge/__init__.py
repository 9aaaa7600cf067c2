"""The only way to the motors: every joint command passes the safety filter of this package."""
