from setuptools import find_packages, setup

setup(
    name="sernf_teleop",
    version="0.1.0",
    packages=find_packages(exclude=["test"]),
    data_files=[
        ("share/ament_index/resource_index/packages", ["resource/sernf_teleop"]),
        ("share/sernf_teleop", ["package.xml"]),
    ],
    zip_safe=False,
    entry_points={
        "console_scripts": [
            "teleop_node = sernf_teleop.teleop_node:main",
            "episode_recorder_node = sernf_teleop.episode_recorder_node:main",
        ],
    },
)
