"""Draws crops of football players: who is on the pitch, how they stand, what they wear, what the camera sees."""
