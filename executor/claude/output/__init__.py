"""The CLI's output as the events of one answer."""
