"""An asv environment that is one commit's files, run by the Python that runs asv.

asv's own environments install each commit with all that it needs, gigabytes of it. Here a commit is checked out and its
``src`` put before everything else on Python's path, an editable install's too; all its packages are those of the Python
that measures. So a difference between two commits is one of their code, any commit can be measured from any other, and
results carry no path of the machine.
"""

import os
import sys
from pathlib import Path
from typing import Any, override

from asv import util
from asv.config import Config
from asv.environment import Environment
from asv.repo import Repo

from fluxbench.bench.trends import before_package


class CommitEnvironment(Environment):
    """The ``environment_type`` of asv that is called ``commit``."""

    tool_name = "commit"

    def __init__(
        self, conf: Config, python: str, requirements: dict[str, str], tagged_env_vars: dict[Any, str]
    ) -> None:
        self._requirements = requirements  # asv's own class wants it before it starts
        super().__init__(conf, python, requirements, tagged_env_vars)

    @classmethod
    @override
    def matches(cls, python: str) -> bool:
        return python == f"{sys.version_info.major}.{sys.version_info.minor}"

    @override
    def check_presence(self) -> bool:
        return Path(self._path).is_dir()

    @override
    def _setup(self) -> None:
        Path(self._path).mkdir(parents=True)

    @override
    def install_project(self, conf: Config, repo: Repo, commit_hash: str) -> None:
        self._set_installed_commit_hash(None)
        self.checkout_project(repo, commit_hash)  # which removes what git does not know, such as aliases
        before_package.prepare(Path(self._build_root))
        self._set_installed_commit_hash(commit_hash)

    @override
    def run(self, args: list[str], **kwargs: Any) -> Any:
        # The second name is for asv's own start-up, which takes away again what the first alone says.
        path = os.pathsep.join(map(str, before_package.folders(Path(self._build_root))))
        paths = {"PYTHONPATH": path, "ASV_PYTHONPATH": path}
        environment = {**kwargs.pop("env", os.environ), **self._global_env_vars, **paths}
        return util.check_output([sys.executable, *args], env=environment, **kwargs)
