"""Python's own start, for scale."""

import sys

print("attached", flush=True)
sys.stdin.read()
