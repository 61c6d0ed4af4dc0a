"""`vicinal profile`: where the time of one request goes, against the least that this machine could take."""
