"""Python's own start, for scale."""

import sys

print("attached", flush=True)
sys.stdin.read()

import resource  # noqa: E402 - after what is measured

print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
