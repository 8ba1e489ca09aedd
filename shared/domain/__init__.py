"""The words and rules of bays: pure, standard library only, imported by everything else."""
