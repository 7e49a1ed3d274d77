"""What each analysis found, as sentences computed from its results: a file an analysis."""
