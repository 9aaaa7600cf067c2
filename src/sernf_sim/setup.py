from setuptools import find_packages, setup

setup(
    name="sernf_sim",
    version="0.1.0",
    packages=find_packages(exclude=["test"]),
    data_files=[
        ("share/ament_index/resource_index/packages", ["resource/sernf_sim"]),
        ("share/sernf_sim", ["package.xml"]),
    ],
    zip_safe=False,
    entry_points={
        "console_scripts": [
            "sim_camera_node = sernf_sim.sim_camera_node:main",
            "sim_viewer_node = sernf_sim.sim_viewer_node:main",
            "video_camera_node = sernf_sim.video_camera_node:main",
        ]
    },
)
