"""The engine process: what is said to it, what it does, and who watches over it."""
