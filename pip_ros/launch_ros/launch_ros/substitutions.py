"""Substitutions that know of ROS packages."""

from __future__ import annotations

from ament_index_python.packages import PackageNotFoundError, get_package_prefix, get_package_share_directory

from launch import LaunchContext, SomeSubstitutionsType, Substitution
from launch.substitutions import SubstitutionFailure
from launch.upstream_only import refuse_attribute
from launch.utilities import normalize_to_list_of_substitutions, perform_substitutions

__all__ = ["FindPackagePrefix", "FindPackageShare"]


class FindPackagePrefix(Substitution):
    """The directory that a package is installed under. SubstitutionFailure when it is not installed."""

    def __init__(self, package: SomeSubstitutionsType) -> None:
        self.package = normalize_to_list_of_substitutions(package)

    def perform(self, context: LaunchContext) -> str:
        package = perform_substitutions(context, self.package)
        try:
            return self._find(package)
        except (PackageNotFoundError, ValueError) as error:
            raise SubstitutionFailure(
                f"package '{package}' is not installed in any of AMENT_PREFIX_PATH "
                f"({context.environment.get('AMENT_PREFIX_PATH', 'not set')}); build it and source its install/setup.bash"
            ) from error

    def describe(self) -> str:
        return f"{type(self).__name__}({' + '.join(sub.describe() for sub in self.package)})"

    def _find(self, package: str) -> str:
        return str(get_package_prefix(package))


class FindPackageShare(FindPackagePrefix):
    """The ``share`` directory of a package. SubstitutionFailure when it is not installed."""

    def _find(self, package: str) -> str:
        return str(get_package_share_directory(package))


__getattr__ = refuse_attribute(__name__, __all__, "ExecutableInPackage FindPackage Parameter", "launch_ros")
