"""Data sets: generated under MPI, kept in HDF5, and what a model sees of them."""
