"""What is wrong with a data set or a config, found before a run and by ``mmscale check``.

`find_*` and `check_*` functions yield findings; :func:`mmscale.checks.findings.settle` makes one
error of the faults among them.
"""
