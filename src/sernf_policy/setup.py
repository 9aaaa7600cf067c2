from glob import glob

from setuptools import find_packages, setup

weights = [(f"share/sernf_policy/{task}", glob(f"{task}*.safetensors") + glob(f"{task}*.json")) for task in glob("weights/*/")]

setup(
    name="sernf_policy",
    version="0.1.0",
    packages=find_packages(exclude=["test"]),
    data_files=[
        ("share/ament_index/resource_index/packages", ["resource/sernf_policy"]),
        ("share/sernf_policy", ["package.xml"]),
        *weights,
    ],
    zip_safe=False,
    entry_points={"console_scripts": ["policy_node = sernf_policy.policy_node:main"]},
)
