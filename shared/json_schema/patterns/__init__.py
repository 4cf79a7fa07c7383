"""Regular expressions of ECMA-262: parses them, and matches them with the engines of Rust."""
