"""What a network leaves undone: the colour of the surroundings along the hole's edge, and their grain inside."""
