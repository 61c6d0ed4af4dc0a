"""`vicinal profile`: where the time of one request goes, against the least that this machine needs for its arithmetic."""
