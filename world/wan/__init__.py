"""Worlds from Wan2.1 and LongLive checkpoints: files, text encoder, decoders."""
