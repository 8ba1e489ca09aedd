"""`python -m services.scaler`."""

from services.scaler.main import main

main()
