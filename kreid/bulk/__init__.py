"""Embeddings of more images than one machine embeds, by a runner of Apache Beam.

Imports `kreid.data`, `kreid.embedding`, `kreid.files`, `kreid.runs` and `tfrecords_tools.pipelines`, hence apache_beam.
"""
