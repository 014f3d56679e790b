"""What asv measures at a commit: times and memory of solvers, training and samplers, and the accuracy of a small run.

asv runs the benchmarks that are here on the code of another commit, so they go by what seldom changes: the command line
and its tables where that will do. ``repeat`` is a number in each of them: every round takes as many samples, of which
comparisons take the best.
"""
