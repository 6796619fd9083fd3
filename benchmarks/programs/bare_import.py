"""Python's own start and `import stingless`."""

import sys

import stingless  # noqa: F401

print("attached", flush=True)
sys.stdin.read()

import resource  # noqa: E402 - after what is measured

print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
