"""What only the operator sees besides the overlay, and never the audience."""
