"""The offline model: a stand-in for the model's service, for an owner who has no credential yet."""
