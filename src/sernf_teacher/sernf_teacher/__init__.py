"""A teacher that learns in simulation alone: vectorised environment, curriculum, PPO. No ROS."""
