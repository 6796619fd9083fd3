"""What stingless costs, next to the tools that do the same: `python -m benchmarks`.  See README.md."""
