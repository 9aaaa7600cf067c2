"""The flow policy over action chunks: layout, normaliser, encoder, flow, checkpoint, chunk player, policy node."""
