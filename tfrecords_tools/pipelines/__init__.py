"""The work of more than one machine: one file after another, by whatever runner of Apache Beam is asked for.

Imports apache_beam (`pip install 'kreid[beam]'`), NumPy, and of this package what one machine converts with.
"""
