"""`make bench`: what DTrove takes in time and memory, each figure beside a baseline of the same run."""
