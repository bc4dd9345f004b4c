"""Flows: what each service's calls do, without I/O."""
