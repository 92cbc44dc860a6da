"""What exists and happens on a simulated site: points, their recorded events, and the changes of both over time.

It imports no other package of the simulator, and holds the plain values the others share (ticks, WebIDs, PI times).
Start with `site`, then `catalog` for the points and `history` for the events.
"""
