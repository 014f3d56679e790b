"""Forward problems, their solvers, and the HDF5 data sets that they make."""
