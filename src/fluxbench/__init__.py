"""How well, and how fast, diffusion models and their rivals sample the posteriors of physics inverse problems.

Parallelism in this suite is processes (MPI ranks, workers), so each runs one BLAS/OpenMP thread unless the user says
otherwise; the variables count only if they are set before the libraries load.
"""

import os

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")
