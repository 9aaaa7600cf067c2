from setuptools import find_packages, setup

setup(
    name="sernf_hw_bridge",
    version="0.1.0",
    packages=find_packages(exclude=["test"]),
    data_files=[
        ("share/ament_index/resource_index/packages", ["resource/sernf_hw_bridge"]),
        ("share/sernf_hw_bridge", ["package.xml"]),
    ],
    entry_points={
        "console_scripts": [
            "hw_bridge_node = sernf_hw_bridge.hw_bridge_node:main",
            "nudge_node = sernf_hw_bridge.nudge_node:main",
        ]
    },
    zip_safe=False,
)
