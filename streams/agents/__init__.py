"""The agents of a worker, one for each arrow of the pipeline: ingest, assemble, deliver. Each is built and added to the
app here.
"""
