from setuptools import find_packages, setup

setup(
    name="sernf_learner",
    version="0.1.0",
    packages=find_packages(exclude=["test"]),
    data_files=[
        ("share/ament_index/resource_index/packages", ["resource/sernf_learner"]),
        ("share/sernf_learner", ["package.xml"]),
    ],
    zip_safe=False,
    entry_points={"console_scripts": ["learner_node = sernf_learner.learner_node:main"]},
)
