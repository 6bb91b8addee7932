"""Where backups are kept: a store is a folder here. `base` is the port that each of them obeys."""
