"""The Fourier method: the lattice of a frame, filters that take it out, labels from what is left."""
