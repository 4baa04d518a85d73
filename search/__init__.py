"""What to try next and what we learned: searcher, study, leaderboard, trackers, export.

Nothing is imported here: the command line goes through this package, and must not wait for torch
and Ray to print a help page. `tripletune` names what people use from Python.
"""
