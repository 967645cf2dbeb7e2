"""`bench steer`: what a switch of words does to a picture, by what becomes of the cache."""
