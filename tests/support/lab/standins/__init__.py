"""Stand-ins for programs that no package registry has.

They do no work: they check what they are given as strictly as the real program would or more so, speak as much of its
wire as others need, and end with a reason when something is wrong.

In a node they are the package `standins`, with Debian's Python and nothing else; here they are only checked.
"""
