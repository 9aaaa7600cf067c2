from setuptools import setup

setup(
    name="ros2cli",
    version="0.1.0",
    packages=["ros2cli"],
    data_files=[
        ("share/ament_index/resource_index/packages", ["resource/ros2cli"]),
        ("share/ros2cli", ["package.xml"]),
    ],
    entry_points={"console_scripts": ["ros2 = ros2cli.main:main"]},
    zip_safe=False,
)
