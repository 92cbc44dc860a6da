"""PI Web API: its endpoints, from a request to the bytes of a reply.

It imports the packages below it (`archive`, `af`, `plant`) and `simulation`, and sees the server as a `Service`.
Start with `router` and `call`, then read any module of `routes`.
"""
