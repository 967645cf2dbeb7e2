"""`neverblink latency`: from input to pixel, stage by stage."""
