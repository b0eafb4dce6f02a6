"""The parts that the configs are made of."""
