"""The load generator: drives this service and its peers alike, and writes docs/performance.md.

Layout, each built on the one before: `systems/` starts each server and speaks its protocol, `load/`
makes the load and checks what arrives, `scenarios/` says what is measured, and the modules beside
them make a report of it.
"""
