"""``python -m tomoportal``: what the installed command ``tomoportal`` runs."""

from tomoportal.cli import main

if __name__ == "__main__":
    main()
