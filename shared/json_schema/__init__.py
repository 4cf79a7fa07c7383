"""JSON Schemas that clients send: checked, and evaluated with bounded work."""
