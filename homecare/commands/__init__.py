"""The command line: the only place where the packages meet."""
