"""What the machine does when nobody asks for anything."""
