"""The report of a study: one HTML file that needs nothing beside it, or the same page served live.

Nothing is imported here: what the page of the best model needs (torch, scikit-learn) is imported
where it is used.
"""
