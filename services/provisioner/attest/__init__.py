"""Attestation: is a server that asks for certificates the node of the bay that it says it is?"""
