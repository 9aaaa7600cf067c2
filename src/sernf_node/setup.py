from setuptools import find_packages, setup

setup(
    name="sernf_node",
    version="0.1.0",
    packages=find_packages(exclude=["test"]),
    data_files=[
        ("share/ament_index/resource_index/packages", ["resource/sernf_node"]),
        ("share/sernf_node", ["package.xml"]),
    ],
    zip_safe=False,
)
