"""Process-level code of both programs: systemd, socket peers, file permissions, the watchdog, core dumps."""
