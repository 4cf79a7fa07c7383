"""What both programs do about their own process: systemd, peers, permissions, core dumps."""
