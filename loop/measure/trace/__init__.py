"""The figures that are read out of the traces of shows."""
