"""What every test runs under."""

import os

# Tiny tensors gain nothing from a second thread, and threads that spin for one another bring a busy machine to a
# standstill. Read when torch is loaded; the model's process chooses its own number.
os.environ["OMP_NUM_THREADS"] = "1"
