"""The contract between the programs: values, and the protocol that carries them. Imports neither `api` nor `executor`."""
