"""The shared vocabulary of the backend, and the command line that wires the packages together."""
