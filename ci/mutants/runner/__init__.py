"""The runner of ci/mutants/run: reads the mutants, keeps copies of the tree, kills and reports."""
