"""Ways to run the two programs: in one terminal (`local`), under systemd, in containers."""
