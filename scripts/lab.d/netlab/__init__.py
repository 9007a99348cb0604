"""An emulated cluster on one Linux machine: hosts, leaf and spine switches, a login host, and faults on purpose.

Everything lives in namespaces that processes hold. Nothing is made in the root network namespace, and the death of one
process, the fabric's holder, removes all of it. ``netlab.lab.Lab`` is the way in; agents and holders import only what
they need, since every ssh of a launcher starts one.
"""
