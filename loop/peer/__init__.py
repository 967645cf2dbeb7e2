"""Peers in a show: what a host tells its guests, and how a guest follows its host."""
