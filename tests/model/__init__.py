"""Tests of the transformer, its cache and its sampler."""
