"""Neuron allocation: from a trained ScaleNet to a structure (paper, section 3.2).

In every block the scales compete: all of its neurons are ranked together, and the most important
ones are kept, as many as the stage's budget. That, and the budgets of
:func:`mmscale.structures.stage_neurons`, are published. The measures of importance, the search for
a number of multiply-adds and keeping weights are this project's decisions.

Scores and selections are nested lists: for each stage one list, in it for each block a dict by
scale.
"""
