"""The certificate authority of every bay: the only holder of the key-encryption key."""
