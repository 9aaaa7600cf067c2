from setuptools import setup

setup(
    name="launch",
    version="0.1.0",
    packages=["launch", "launch.actions", "launch.events"],
    data_files=[
        ("share/ament_index/resource_index/packages", ["resource/launch"]),
        ("share/launch", ["package.xml"]),
    ],
    zip_safe=False,
)
