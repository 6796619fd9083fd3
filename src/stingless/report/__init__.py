"""What verifiers said of programs, as one HTML file that a browser shows without a network."""
