"""Wait until all nodes of a Ray cluster have joined:   python -m fluxbench.training.nodes HOST:PORT NODES SECONDS."""

import sys
import time

import ray

from fluxbench.errors import InputError
from fluxbench.training import cluster
from fluxbench.training.cluster import Cluster

INTERVAL = 0.5
"""Seconds between two looks: Ray tells nobody when a node joins."""


def wait_for(address: str, nodes: int, seconds: float) -> Cluster:
    """Return once so many nodes are there.

    Raises:
        InputError: if they are not there in time.
    """
    end = time.monotonic() + seconds
    while True:
        try:
            found = cluster.attach(address)
        except InputError:
            if time.monotonic() > end:
                raise
        else:
            there = sorted(node["NodeManagerHostname"] for node in ray.nodes() if node["Alive"])
            if len(there) >= nodes:
                return found
            if time.monotonic() > end:
                names = ", ".join(there)
                raise InputError(f"Ray at {address}: expected {nodes} nodes after {seconds:g} s, found {names}")
            ray.shutdown()
        time.sleep(INTERVAL)


def main() -> int:
    """Command line; the exit status is 0, or 2 if nodes are missing."""
    address, nodes, seconds = sys.argv[1:]
    try:
        found = wait_for(address, int(nodes), float(seconds))
    except InputError as error:
        print(f"fluxbench: error: {error}", file=sys.stderr)
        return 2
    print(f"{nodes} node(s) have joined. {found.description}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
