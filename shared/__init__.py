"""The contract between the programs: values and the wire they travel on. Imports the standard library and msgspec only."""
