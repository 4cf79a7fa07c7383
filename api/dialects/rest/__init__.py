"""The REST dialect: plain JSON requests and answers, or a stream of named events."""
