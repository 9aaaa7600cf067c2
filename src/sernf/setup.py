from glob import glob

from setuptools import find_packages, setup

setup(
    name="sernf",
    version="0.1.0",
    packages=find_packages(exclude=["test"]),
    data_files=[
        ("share/ament_index/resource_index/packages", ["resource/sernf"]),
        ("share/sernf", ["package.xml"]),
        ("share/sernf/launch", glob("../../launch/*.launch.py")),
        ("share/sernf/config", glob("../../config/*.yaml")),
        ("share/sernf/config/physics", glob("../../config/physics/*.yaml")),
    ],
    entry_points={
        "console_scripts": [
            "sernf = sernf.cli:main",
            "episode_runner_node = sernf.episode_runner_node:main",
        ]
    },
    zip_safe=False,
)
