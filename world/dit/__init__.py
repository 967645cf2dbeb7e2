"""The transformer, its cache and its sampler."""
