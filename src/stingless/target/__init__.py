"""Facts of the running kernel that objects ask for: configuration, symbols, types, release."""
