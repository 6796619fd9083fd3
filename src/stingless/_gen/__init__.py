"""Generated tables; each file names the tool that writes it."""
