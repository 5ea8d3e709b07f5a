"""SoccerNet-v3 ReID from its servers to a folder that kreid-convert takes.

Imports urllib3, rich and filelock, and the package SoccerNet once something is to be fetched.
"""
