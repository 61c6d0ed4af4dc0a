"""What the daemon does when nobody asks for anything."""
