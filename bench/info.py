"""What this machine and this installation are: ``fluxbench info``."""

import platform
from collections.abc import Callable

from fluxbench.bench import config
from fluxbench.provenance import package_version, provenance


def describe() -> str:
    """Return host, processor and versions of what is installed, a line each; what is not installed says so."""
    made = provenance()
    lines = {
        "fluxbench": f"{package_version('fluxbench') or 'not installed'}, commit {made['commit'] or 'unknown'}",
        "profiles": ", ".join(config.profiles()),
        "host": f"{platform.node()}, {platform.platform()}",
        "processor": f"{made['processor']}, {made['cores']} cores, {made['threads'] or 'all as'} threads a process",
        "Python": platform.python_version(),
        "MPI": _of(_mpi),
        "PETSc": _of(_petsc),
        "DOLFINx": _of(_dolfinx),
        "torch": _of(_torch),
        "GPU": _of(_gpu),
        "Ray": _of(_ray),
        "h5py": _of(_h5py),
    }
    width = max(map(len, lines))
    return "\n".join(f"{name:<{width}}  {text}" for name, text in lines.items())


def _of(describe_library: Callable[[], str]) -> str:
    try:
        return describe_library()
    except ImportError as error:
        return f"not available ({error})"


def _mpi() -> str:
    from mpi4py import MPI  # noqa: PLC0415

    return f"{MPI.Get_library_version().splitlines()[0].strip(chr(0))} (mpi4py {package_version('mpi4py')})"


def _petsc() -> str:
    from mpi4py import MPI  # noqa: F401, PLC0415 - before PETSc

    from petsc4py import PETSc  # noqa: PLC0415

    mumps = "with" if PETSc.Sys.hasExternalPackage("mumps") else "without"
    return f"{'.'.join(map(str, PETSc.Sys.getVersion()))} {mumps} MUMPS, {PETSc.ScalarType.__name__}"


def _dolfinx() -> str:
    from mpi4py import MPI  # noqa: F401, PLC0415 - before dolfinx

    import dolfinx  # noqa: PLC0415

    return str(dolfinx.__version__)


def _torch() -> str:
    import torch  # noqa: PLC0415

    return f"{torch.__version__}, {torch.get_num_threads()} thread(s) a process"


def _gpu() -> str:
    import torch  # noqa: PLC0415

    names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return ", ".join(names) or "none"


def _ray() -> str:
    import ray  # noqa: PLC0415

    return str(ray.__version__)


def _h5py() -> str:
    import h5py  # noqa: PLC0415

    return f"{h5py.version.version} on HDF5 {h5py.version.hdf5_version}"
