"""Measurements that publish a page, and end with status 1 if a goal is missed: ``fluxbench study NAME``."""
