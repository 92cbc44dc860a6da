"""The command line against the simulator: no Java, seconds."""
