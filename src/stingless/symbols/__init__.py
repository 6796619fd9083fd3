"""Names of code: where a function lies in a file."""
