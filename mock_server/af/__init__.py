"""The Asset Framework over the points: elements, attributes, analyses and event frames as objects.

It imports `plant` alone and knows nothing of HTTP. Start with `framework`, then `event_frames`.
"""
