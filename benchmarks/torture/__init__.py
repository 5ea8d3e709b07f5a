"""Damage, kills, full disks, wrong servers and fuzzed files, tried on every command: `make torture`.

    python -m benchmarks.torture [--seed 1] [--minutes 20] [--only KIND] [--out FILE] [--keep]

What is tried is drawn from the seed. Narrow networks and a small drawn set are made once in a temporary folder; every
try has a copy of its own, in which a command meets one fault and then, mostly, another command follows it. A result is
compared with that of the undamaged one by content (arrays, figures, records), never by time stamps.

The columns of the table, where one try counts in one of the last five or is right:

    tries       how many; also those in which the fault changes nothing, and the result is right
    noticed     a command said in one line what is wrong, and ended with another exit code than 0
    silent      exit code 0 with a result that is not the undamaged one's
    tracebacks  a traceback, a signal that nobody sent, or an exit code other than 0 without a line `error: ...`
    lost        something stood there whole before and is neither whole nor replaced by something whole after the next
                command of any kind, or is in its way
    hangs       the command did not end within its limit

What people edit (YAML, JSON, CSV) has no checksum: a changed figure there is the user's word, so such files are fuzzed
for tracebacks and hangs alone; so is a JPEG that still decodes, and files of other programs' weights. Not tried here,
since one try takes a minute or more: kills of kreid-tune, servers that say nothing until the client's limit.
"""
