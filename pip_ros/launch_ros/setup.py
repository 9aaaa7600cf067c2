from setuptools import setup

setup(
    name="launch_ros",
    version="0.1.0",
    packages=["launch_ros", "launch_ros.actions"],
    data_files=[
        ("share/ament_index/resource_index/packages", ["resource/launch_ros"]),
        ("share/launch_ros", ["package.xml"]),
    ],
    zip_safe=False,
)
