"""C sources: what the agent loads into the traced process (*.c here), and what readers call (reader/)."""
