# Robot and policy on the official ROS 2 image. Built from the top of the clone: docker compose -f docker/compose.yaml build robot
FROM ros:kilted-ros-base

SHELL ["/bin/bash", "-o", "pipefail", "-c"]
ENV DEBIAN_FRONTEND=noninteractive LANG=C.UTF-8

# EGL renders the simulation's cameras without a display.
RUN apt-get update && apt-get install -y --no-install-recommends \
      build-essential git libegl1 libgl1 python3-dev python3-pip python3-venv \
    && rm -rf /var/lib/apt/lists/*

# Manifests first: what they name is installed anew only when they change.
WORKDIR /sernf
COPY src/ /tmp/manifests/
RUN find /tmp/manifests -type f ! -name package.xml -delete \
    && apt-get update && rosdep update --rosdistro "$ROS_DISTRO" \
    && rosdep install --from-paths /tmp/manifests --ignore-src -y --rosdistro "$ROS_DISTRO" \
         --skip-keys "python3-typer-pip" \
    && rm -rf /var/lib/apt/lists/* /tmp/manifests

# What has no rosdep key comes from requirements.txt, by the same set-up as on any machine.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
COPY . /sernf
RUN source "/opt/ros/$ROS_DISTRO/setup.bash" && SERNF_TORCH_INDEX="$TORCH_INDEX" ./sernf setup && rm -rf ~/.cache

# The image's own entry point sources ROS 2 first.
ENTRYPOINT ["/ros_entrypoint.sh", "/sernf/sernf"]
CMD ["up"]
