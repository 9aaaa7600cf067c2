"""Learning from recorded episodes: chunk critic losses, data set, replay, the four stages, trainer, evaluation, learner node."""
