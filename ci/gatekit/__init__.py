"""The parts of ci/gate: what is measured, how it is decided, how steps run."""
