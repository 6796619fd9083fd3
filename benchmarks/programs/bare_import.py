"""Python's own start and `import stingless`."""

import sys

import stingless  # noqa: F401

print("attached", flush=True)
sys.stdin.read()
