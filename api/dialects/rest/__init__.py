"""The REST dialect: one plain JSON body in, one out, or named events to watch."""
