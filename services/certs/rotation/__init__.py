"""The steps of a rotation of a bay's authorities (`shared/domain/rotation.py` says what the phases mean).

    make      the next generation and the rotation's row, or the row that an earlier operation left
    phases    wait for the nodes, phase by phase; give turns; move on
    turns     whose turn it is: pure rules
    words     what people read of it
    finish    destroy the keys of the generation that leaves, and end

Nothing is remembered in memory or in the operation: the next look finds in the rows all that it needs.
"""
