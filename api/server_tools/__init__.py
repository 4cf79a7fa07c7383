"""The tools that the server itself offers a model: what they are called, what they take, what comes of them. Pure."""
