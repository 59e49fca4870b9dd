"""One network: its genome, its layers, its training and the file that leaves."""
