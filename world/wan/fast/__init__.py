"""The decoders of Wan latents again, written for a GPU; each equals its plain one within a stated tolerance."""
