"""Hosts with real verbs devices (soft-RoCE) on one machine: namespaces in a virtual machine, since its kernel has none.

The guest's root is this machine's own, read-only, with a file system in memory laid over it. Nothing is written outside
of the cache, which holds the kernel, and of the directory that is asked for; the death of the command ends the guest.
"""
