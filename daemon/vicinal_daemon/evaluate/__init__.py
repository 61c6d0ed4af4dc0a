"""The benchmark protocol: hide code that exists, let each mode predict it, compare. Runs on anyone's repo."""
