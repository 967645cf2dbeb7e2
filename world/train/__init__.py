"""Training of the bundled world: data, stages, evaluation."""
