"""Deleting what is kept no longer, by a plan that people read before it is applied.

``planning`` finds what may go, ``plan`` is the file between the two steps, ``guards`` refuses what
looks like a disaster, ``applying`` deletes what is still as the plan says.
"""
