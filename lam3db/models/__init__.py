"""Models: messages and images to answers."""
