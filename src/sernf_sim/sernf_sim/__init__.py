"""The simulated world. Importing this package registers its Gymnasium environments, `sernf/Duck-v0`."""

from gymnasium.envs.registration import register

register(id="sernf/Duck-v0", entry_point="sernf_sim.env:DuckEnv", max_episode_steps=400)
