"""What the gateway does when it is asked, one file a deed; no HTTP here."""
