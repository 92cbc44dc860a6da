"""The program around the endpoints: an ASGI server with sign-in, limits, faults and a landing page.

It may import every package but `cli`. Start with `middleware`, the way of a request, then `app`.
"""
