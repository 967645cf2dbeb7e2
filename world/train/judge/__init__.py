"""How good a trained model is: what its clips show, compared with what the prompts asked for."""
