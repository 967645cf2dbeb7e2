"""What a show writes down."""
