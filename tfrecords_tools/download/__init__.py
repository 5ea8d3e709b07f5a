"""SoccerNet-v3 ReID from its servers to a folder that kreid-convert takes. No TensorFlow."""
