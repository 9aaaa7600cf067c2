from setuptools import find_packages, setup

setup(
    name="sernf_teacher",
    version="0.1.0",
    packages=find_packages(exclude=["test"]),
    package_data={"sernf_teacher": ["data/*.safetensors", "weights/*/*"]},
    data_files=[
        ("share/ament_index/resource_index/packages", ["resource/sernf_teacher"]),
        ("share/sernf_teacher", ["package.xml"]),
    ],
    zip_safe=False,
)
