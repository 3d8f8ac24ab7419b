"""How fast it is, against others and against the machine's own limit: `python -m tests.bench`, `make bench`. No pytest in here."""
