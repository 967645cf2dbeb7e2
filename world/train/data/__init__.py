"""What the model is trained on: captions, rendered clips of nine scenes, their latents, and batches of them."""
