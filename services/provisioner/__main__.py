"""`python -m services.provisioner`."""

from services.provisioner.main import main

main()
